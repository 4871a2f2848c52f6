import pytest
from imaging_pictures import drawn, encoded

from imaging import PICTURE_SUFFIXES, UnreadableImage, decode_image, sniff_format


@pytest.mark.parametrize(
    ("file_format", "name"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("GIF", "gif"),
        ("WEBP", "webp"),
        ("TIFF", "tiff"),
        ("BMP", "bmp"),
        ("AVIF", "avif"),
    ],
)
def test_a_format_is_told_from_32_bytes_and_decodes(file_format: str, name: str) -> None:
    data = encoded(drawn(), file_format)

    assert sniff_format(data[:32]) == name
    assert decode_image(data).format == name


def test_tiffs_of_either_byte_order_and_of_more_than_4_gb_are_known() -> None:
    heads = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

    assert [sniff_format(head + bytes(28)) for head in heads] == ["tiff"] * 4


@pytest.mark.parametrize(
    ("brands", "name"),
    [
        (b"heic\0\0\0\0mif1heic", "heif"),
        (b"mif1\0\0\0\0mif1heic", "heif"),
        (b"mif1\0\0\0\0mif1avif", "avif"),
        (b"avis\0\0\0\0msf1avis", "avif"),
        (b"mp42\0\0\0\0isommp42", None),
    ],
)
def test_iso_media_files_are_told_apart_by_their_brands(brands: bytes, name: str | None) -> None:
    assert sniff_format(b"\0\0\0\x18ftyp" + brands + bytes(8)) == name


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", "empty", "no bytes"),
        (b"abc", "not_an_image", "plain text"),
        ("Một ngày đẹp trời ở biển.".encode() * 30, "not_an_image", "plain text"),
        ("日本".encode() * 500, "not_an_image", "plain text"),
        ("in UTF-16".encode("utf-16"), "not_an_image", "plain text"),
        (b"BM is how this text begins, and no bitmap", "not_an_image", "plain text"),
        (b"<!DOCTYPE html><title>404</title>", "not_an_image", "web page"),
        (b"%PDF-1.7\n%\xe2\xe3", "not_an_image", "PDF"),
        (b"PK\x03\x04" + bytes(40), "not_an_image", "ZIP"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "not_an_image", "video"),
        (bytes(4096), "not_an_image", "zero bytes"),
        (b"\x93NUMPY\x01\x00v\x00", "not_an_image", "no picture format"),
        (b"<?xml version='1.0'?>\n<svg xmlns='a'>", "unsupported_format", "SVG"),
        (b"\xff\x0a" + bytes(40), "unsupported_format", "JPEG XL"),
        (b"8BPS\0\x01" + bytes(40), "unsupported_format", "Photoshop"),
    ],
)
def test_what_is_no_picture_to_us_is_named(data: bytes, kind: str, words: str) -> None:
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data)

    assert caught.value.kind == kind
    assert words in str(caught.value)
    if kind == "unsupported_format":
        assert "convert it to JPEG" in str(caught.value)


def test_a_jpeg_behind_other_bytes_is_no_jpeg() -> None:
    with pytest.raises(UnreadableImage) as caught:
        decode_image(b"HTTP/1.1 200 OK\r\n\r\n" + encoded(drawn(), "JPEG"))

    assert caught.value.kind == "not_an_image"


def test_picture_suffixes_are_lower_case_and_cover_what_cameras_write() -> None:
    assert {".jpg", ".jpeg", ".png", ".heic", ".avif", ".webp", ".nef", ".cr3"} <= PICTURE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PICTURE_SUFFIXES)
    assert PICTURE_SUFFIXES.isdisjoint({".txt", ".mp4", ".json", ""})
