"""Real files, damaged at random: each becomes an RGB picture or UnreadableImage, soon."""

import random
import time
from collections.abc import Callable

import pytest
from camera_files import dng_file, heic_file
from imaging_pictures import drawn, encoded
from PIL import ExifTags, Image

from imaging import DecodeLimits, UnreadableImage, decode_image, dominant_color, make_thumbnail

DAMAGES = 200
SLOWEST_S = 5


def with_facts(file_format: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:31 18:04:59"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (21.0, 1.0, 48.0)
    return encoded(drawn(), file_format, exif=exif.tobytes(), **options)


SAMPLES: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: with_facts("JPEG"),
    "progressive JPEG": lambda: with_facts("JPEG", progressive=True),
    "CMYK JPEG": lambda: encoded(drawn("CMYK"), "JPEG"),
    "PNG": lambda: encoded(drawn(), "PNG"),
    "palette PNG": lambda: encoded(drawn("P"), "PNG", transparency=b"\x80\x00\xff"),
    "16-bit PNG": lambda: encoded(drawn("I;16"), "PNG"),
    "APNG": lambda: encoded(drawn(), "PNG", save_all=True, append_images=[drawn().rotate(180)]),
    "GIF": lambda: encoded(drawn(), "GIF", save_all=True, append_images=[drawn().rotate(180)]),
    "WebP": lambda: with_facts("WEBP"),
    "lossless WebP": lambda: encoded(drawn("RGBA"), "WEBP", lossless=True),
    "animated WebP": lambda: encoded(
        drawn(), "WEBP", save_all=True, append_images=[drawn().rotate(180)]
    ),
    "TIFF": lambda: with_facts("TIFF"),
    "LZW TIFF": lambda: encoded(drawn("RGBA"), "TIFF", compression="tiff_lzw"),
    "JPEG TIFF": lambda: encoded(drawn(), "TIFF", compression="jpeg"),
    "float TIFF": lambda: encoded(drawn("F"), "TIFF"),
    "BMP": lambda: encoded(drawn("P"), "BMP"),
    "AVIF": lambda: with_facts("AVIF"),
    "HEIC": heic_file,
    "RAW": lambda: dng_file(preview=encoded(drawn(), "JPEG")),
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """One cut, one flipped bit, one overwritten byte, a wild header, or a gap."""
    at = chance.randrange(len(data))
    wounded = bytearray(data)
    match chance.randrange(5):
        case 0:
            del wounded[at:]
        case 1:
            wounded[at] ^= 1 << chance.randrange(8)
        case 2:
            wounded[at] = chance.choice([0, 1, 127, 128, 255])
        case 3:
            for _ in range(6):
                wounded[chance.randrange(min(len(data), 300))] = chance.randrange(256)
        case _:
            del wounded[at : at + chance.randrange(1, 40)]
    return bytes(wounded)


@pytest.mark.parametrize("sample", SAMPLES)
def test_damaged_files_are_read_or_refused_and_nothing_else(sample: str) -> None:
    data = SAMPLES[sample]()
    chance = random.Random(sample)
    limits = DecodeLimits(max_pixels=4_000_000)
    outcomes = {"read": 0, "refused": 0}

    for _ in range(DAMAGES):
        broken = damaged(data, chance)
        started = time.perf_counter()
        try:
            image = decode_image(broken, min_side=chance.choice([None, 8]), limits=limits).image
        except UnreadableImage as error:
            outcomes["refused"] += 1
            assert str(error).startswith(("is ", "has "))
            assert not isinstance(error.__cause__, Warning)
        else:
            outcomes["read"] += 1
            assert image.mode == "RGB"
            assert make_thumbnail(image, 16)
            assert dominant_color(image).startswith("#")
        assert time.perf_counter() - started < SLOWEST_S

    assert min(outcomes.values()) > 0
