import io
import sys
from datetime import datetime
from importlib.util import find_spec

import pytest
from camera_files import dng_file, heic_file
from imaging_pictures import encoded, quadrants
from PIL import Image

from imaging import DecodedImage, DecodeLimits, FactText, UnreadableImage, decode_image

needs_rawpy = pytest.mark.skipif(
    find_spec("rawpy") is None, reason="the extra polyglance[raw] is not installed"
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(decoded: DecodedImage) -> list[str]:
    """What the four corners look like, row by row."""
    names = {RED: "red", GREEN: "green", BLUE: "blue", WHITE: "white"}
    right, bottom = decoded.image.width - 4, decoded.image.height - 4
    pixels = [
        decoded.image.getpixel(at) for at in ((3, 3), (right, 3), (3, bottom), (right, bottom))
    ]
    return [
        next(name for color, name in names.items() if max(map(abs, _minus(pixel, color))) < 90)
        for pixel in pixels
    ]


def _minus(one: tuple[int, ...], other: tuple[int, ...]) -> list[int]:
    return [a - b for a, b in zip(one, other, strict=True)]


def unreadable(data: bytes, **options: object) -> UnreadableImage:
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data, **options)
    return caught.value


def test_a_heic_is_read_upright_with_its_facts() -> None:
    decoded = decode_image(heic_file())

    assert (decoded.width, decoded.height, decoded.format) == (48, 64, "heif")
    assert decoded.image.size == (48, 64)
    assert corners(decoded) == ["blue", "red", "white", "green"]
    assert decoded.facts.camera == "Apple iPhone 15"
    assert decoded.facts.taken_at == datetime(2024, 5, 31, 18, 4, 59)  # noqa: DTZ001
    assert decoded.facts.texts == (FactText("title", "Mèo đen", "xmp", "vi"),)


def test_a_heic_is_held_to_the_pixel_limit_and_to_its_header() -> None:
    too_many = unreadable(heic_file(), limits=DecodeLimits(max_pixels=3000))
    assert too_many.kind == "too_many_pixels"
    size = b"ispe\0\0\0\0" + bytes([0, 0, 0, 64]) * 2
    assert size in heic_file()
    lies = heic_file().replace(size, b"ispe\0\0\0\0" + bytes([0, 0, 0, 8]) * 2)
    assert unreadable(lies).kind == "corrupt"


@pytest.mark.parametrize("length", [30, 300, 900, -1])
def test_a_heic_that_is_cut_off_says_so(length: int) -> None:
    error = unreadable(heic_file()[:length])

    assert (error.kind, "HEIC" in str(error)) == ("truncated", True)


@needs_rawpy
@pytest.mark.parametrize(
    ("orientation", "size", "seen"),
    [
        (1, (64, 48), ["red", "green", "blue", "white"]),
        (3, (64, 48), ["white", "blue", "green", "red"]),
        (6, (48, 64), ["blue", "red", "white", "green"]),
        (8, (48, 64), ["green", "white", "red", "blue"]),
    ],
)
def test_a_raw_file_without_a_preview_is_developed_at_half_its_size(
    orientation: int, size: tuple[int, int], seen: list[str]
) -> None:
    decoded = decode_image(dng_file(orientation=orientation))

    assert (decoded.width, decoded.height) == size
    assert decoded.image.size == (size[0] // 2, size[1] // 2)
    assert corners(decoded) == seen
    assert (decoded.format, decoded.facts.camera) == ("raw", "Polyglance Test Camera")


@needs_rawpy
@pytest.mark.parametrize(
    ("orientation", "seen"),
    [(1, ["white", "blue", "green", "red"]), (6, ["green", "white", "red", "blue"])],
)
def test_the_preview_of_a_raw_file_stands_for_it_and_is_turned_as_the_sensor_was(
    orientation: int, seen: list[str]
) -> None:
    preview = encoded(quadrants(32, 24).rotate(180), "JPEG", quality=95, subsampling=0)

    decoded = decode_image(dng_file(orientation=orientation, preview=preview), min_side=20)

    assert decoded.width * decoded.height == 64 * 48
    assert corners(decoded) == seen


@needs_rawpy
def test_a_preview_that_says_how_it_is_turned_is_turned_once() -> None:
    exif = Image.Exif()
    exif[274] = 6
    preview = encoded(quadrants(32, 24), "JPEG", quality=95, subsampling=0, exif=exif.tobytes())

    decoded = decode_image(dng_file(orientation=6, preview=preview), min_side=20)

    assert corners(decoded) == ["blue", "red", "white", "green"]


@needs_rawpy
@pytest.mark.parametrize("preview_side", [8, None])
def test_a_stamp_or_a_damaged_preview_does_not_stand_for_a_raw_file(
    preview_side: int | None,
) -> None:
    preview = encoded(quadrants(32, 24).rotate(180), "JPEG")[:-200]
    if preview_side is not None:
        preview = encoded(quadrants(2 * preview_side, preview_side).rotate(180), "JPEG")

    decoded = decode_image(dng_file(preview=preview), min_side=20)

    assert corners(decoded) == ["red", "green", "blue", "white"]


@needs_rawpy
def test_a_raw_file_is_held_to_the_pixel_limit_before_it_is_unpacked() -> None:
    # As many pixels as no memory holds, in a file of a few thousand bytes.
    huge = dng_file().replace(b"\x00\x01\x04\x00\x01\x00\x00\x00\x40\x00\x00\x00",
                              b"\x00\x01\x04\x00\x01\x00\x00\x00\x00\xf0\x00\x00")  # fmt: skip
    assert unreadable(dng_file(), limits=DecodeLimits(max_pixels=3000)).kind == "too_many_pixels"
    assert unreadable(huge, limits=DecodeLimits(max_pixels=1_000_000)).kind == "too_many_pixels"


@needs_rawpy
@pytest.mark.parametrize("length", [60, 600, 3000])
def test_a_raw_file_that_is_cut_off_says_so(length: int) -> None:
    assert unreadable(dng_file()[:length]).kind == "truncated"


@needs_rawpy
@pytest.mark.parametrize(
    "data",
    [
        b"FUJIFILMCCD-RAW 0201" + bytes(500),
        b"IIRO\x08\0\0\0" + bytes(500),
        b"II*\0\x10\0\0\0CR\x02\0" + bytes(500),
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(500),
    ],
)
def test_raw_files_of_every_maker_are_known_by_their_first_bytes(data: bytes) -> None:
    error = unreadable(data)

    assert "camera RAW file" in str(error)
    assert error.kind in {"unsupported_format", "truncated", "corrupt"}


def test_without_the_extra_a_raw_file_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)

    error = unreadable(dng_file())

    assert error.kind == "unsupported_format"
    assert "pip install 'polyglance[raw]'" in str(error)


def test_an_ordinary_tiff_is_no_raw_file() -> None:
    out = io.BytesIO()
    quadrants().save(out, "TIFF")

    assert decode_image(out.getvalue()).format == "tiff"
