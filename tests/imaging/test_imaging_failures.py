"""What must be refused, how it is explained, and that refusing is cheap."""

import re
import struct
import time
import zlib

import pytest
from imaging_pictures import (
    bmp_of_runs,
    drawn,
    encoded,
    grey_tiff_tags,
    png_chunk,
    png_file,
    tiff_file,
)
from PIL import Image

from imaging import DecodeLimits, UnreadableImage, decode_image

FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"]


def refusal(data: bytes, limits: DecodeLimits | None = None) -> UnreadableImage:
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data, limits=limits or DecodeLimits())
    return caught.value


@pytest.mark.parametrize("kept", [0.0, 0.005, 0.03, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_part_of_a_file_is_refused_as_cut_off(file_format: str, kept: float) -> None:
    data = encoded(drawn(width=200, height=150), file_format)

    error = refusal(data[: max(32, int(len(data) * kept))])

    assert error.kind == "truncated"
    assert re.search(f"only part of the {file_format} is there", str(error), re.IGNORECASE)


def test_a_progressive_jpeg_is_refused_when_its_last_scans_are_missing() -> None:
    data = encoded(drawn(width=200, height=150), "JPEG", progressive=True)

    assert refusal(data[:-200]).kind == "truncated"


def test_three_bytes_of_a_jpeg_are_cut_off() -> None:
    assert refusal(b"\xff\xd8\xff").kind == "truncated"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_a_compressed_tiff_is_refused_when_cut(compression: str) -> None:
    data = encoded(drawn(width=200, height=150), "TIFF", compression=compression)

    assert refusal(data[: len(data) // 2]).kind == "truncated"


def test_a_run_length_bmp_is_refused_when_cut() -> None:
    assert refusal(bmp_of_runs(90, 2, b"\x5a\x01\0\0\x5a\x02\0\1")[:-4]).kind == "truncated"


def test_damage_inside_a_file_is_told_from_a_cut() -> None:
    data = bytearray(encoded(drawn(), "PNG"))
    middle = data.index(b"IDAT") + 4
    data[middle : middle + 20] = bytes(20)

    error = refusal(bytes(data))

    assert error.kind == "corrupt"
    assert str(error).startswith("is a damaged PNG (")


def test_too_many_pixels_are_refused_by_the_header_alone() -> None:
    error = refusal(png_file((40_000, 40_000), b""))

    assert error.kind == "too_many_pixels"
    assert str(error) == (
        "has 40,000 × 40,000 pixels, more than the limit of 100 million (raise max_pixels)"
    )


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_pixel_limit_holds_for_every_format(file_format: str) -> None:
    data = encoded(drawn(width=100, height=80), file_format)

    assert refusal(data, DecodeLimits(max_pixels=7999)).kind == "too_many_pixels"
    assert decode_image(data, limits=DecodeLimits(max_pixels=8000)).image.size == (100, 80)


def test_pictures_between_pillows_own_limit_and_ours_are_read() -> None:
    # Pillow would warn above 89 million pixels.
    data = encoded(Image.new("1", (10_000, 9_500)), "PNG")

    assert decode_image(data).width == 10_000


@pytest.mark.parametrize(
    ("chunk", "body"),
    [
        (b"VP8X", bytes(4) + b"\xff\xff\xff" * 2),
        (b"VP8L", b"\x2f" + struct.pack("<I", 0x0FFFFFFF)),
        (b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383)),
    ],
)
def test_the_canvas_of_a_webp_is_checked_before_it_is_made(chunk: bytes, body: bytes) -> None:
    payload = b"WEBP" + chunk + struct.pack("<I", len(body)) + body.ljust(40, b"\0")

    assert refusal(b"RIFF" + struct.pack("<I", len(payload)) + payload).kind == "too_many_pixels"


@pytest.mark.parametrize(
    ("screen", "frame"), [((65_535, 65_535), (1, 1)), ((10, 10), (65_000, 65_000))]
)
def test_a_huge_gif_screen_or_frame_is_refused(
    screen: tuple[int, int], frame: tuple[int, int]
) -> None:
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0)
    data = head + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00;"

    assert refusal(data).kind == "too_many_pixels"


def test_too_many_bytes_are_refused() -> None:
    error = refusal(encoded(drawn(), "PNG"), DecodeLimits(max_bytes=1000))

    assert error.kind == "too_large"
    assert "more than the limit of 1,000 (raise max_bytes)" in str(error)


@pytest.mark.parametrize(
    "chunks",
    [
        [png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 25)))],
        [png_chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(1 << 25)))],
        [png_chunk(b"zTXt", b"k\0\0" + zlib.compress(b"A" * (1 << 20)))] * 70,
    ],
    ids=["one text", "a profile", "many texts"],
)
def test_a_bomb_in_the_metadata_of_a_png_is_refused(chunks: list[bytes]) -> None:
    assert refusal(png_file((1, 1), b"\0\1\2\3", *chunks)).kind == "corrupt"


def test_a_progressive_jpeg_of_endless_scans_is_refused_at_once() -> None:
    data = encoded(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    last_scan = data[data.rindex(b"\xff\xda") : -2]

    started = time.perf_counter()
    error = refusal(data[:-2] + last_scan * 2000 + b"\xff\xd9")

    assert error.kind == "corrupt"
    assert "more than 100 scans" in str(error)
    assert time.perf_counter() - started < 1


def test_a_jpeg_of_endless_empty_scans_is_refused_at_once() -> None:
    data = encoded(Image.new("RGB", (4000, 4000)), "JPEG")
    empty_scan_of_red = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"

    started = time.perf_counter()
    error = refusal(data[: data.index(b"\xff\xda")] + empty_scan_of_red * 5000 + b"\xff\xd9")

    assert error.kind == "corrupt"
    assert time.perf_counter() - started < 1


def test_scans_in_a_comment_or_behind_the_end_are_not_counted() -> None:
    data = encoded(drawn(), "JPEG", progressive=True)
    second_scan = data.index(b"\xff\xc4", data.index(b"\xff\xda"))
    comment = b"\xff\xda" * 300
    comment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment

    decoded = decode_image(
        data[:second_scan] + comment + data[second_scan:] + b"\xff\xda\0\2" * 20_000
    )

    assert decoded.image == decode_image(data).image


def test_the_end_of_a_jpeg_hidden_in_a_comment_ends_no_count() -> None:
    data = encoded(drawn(), "JPEG", progressive=True)
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    comment = b"\xff\xfe\x00\x04\xff\xd9"

    assert refusal(data[:-2] + comment + last_scan * 200 + b"\xff\xd9").kind == "corrupt"


def test_a_tiff_whose_tile_is_far_larger_than_the_picture_is_refused() -> None:
    tags = grey_tiff_tags(10, 10)
    for strip_tag in (273, 278, 279):
        del tags[strip_tag]
    tags |= {322: (4, [40_000]), 323: (4, [40_000]), 324: (4, [0]), 325: (4, [100])}

    assert refusal(tiff_file(tags, bytes(100))).kind == "too_many_pixels"


def test_a_tiff_that_names_its_strips_without_end_is_refused_at_once() -> None:
    tags = grey_tiff_tags(10, 2) | {273: (4, [0] * 200_000), 278: (4, [1])}

    started = time.perf_counter()
    error = refusal(tiff_file(tags, bytes(20)))

    assert error.kind == "corrupt"
    assert time.perf_counter() - started < 2


def test_a_run_length_bmp_of_many_pixels_is_refused() -> None:
    error = refusal(bmp_of_runs(9000, 9000, b"\x01\x00\x00\x00" * 10))

    assert error.kind == "unsupported_format"
    assert "save it as PNG" in str(error)


@pytest.mark.parametrize("tags", [{254: (4, [1])}, {50706: (3, [1])}], ids=["preview", "DNG"])
def test_the_preview_in_a_camera_raw_file_is_not_taken_for_the_picture(
    tags: dict[int, tuple[int, list[int]]],
) -> None:
    error = refusal(tiff_file(grey_tiff_tags(4, 4) | tags, bytes(16)))

    assert error.kind == "unsupported_format"
    assert "camera RAW" in str(error)


def test_a_jpeg_of_twelve_bits_is_of_a_kind_that_is_not_read() -> None:
    data = encoded(drawn(), "JPEG").replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c")

    error = refusal(data)

    assert error.kind == "unsupported_format"
    assert "12-bit" in str(error)
