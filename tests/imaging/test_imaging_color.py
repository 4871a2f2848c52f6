import numpy as np
import pytest
from imaging_pictures import (
    drawn,
    encoded,
    icc_curve,
    icc_gamma,
    icc_profile,
    icc_xyz,
    png_chunk,
    png_file,
    tiff_file,
)
from PIL import Image, ImageCms

from imaging import decode_image

WHITE = (255, 255, 255)

SRGB_COLORANTS = {
    b"rXYZ": icc_xyz(0.4361, 0.2225, 0.0139),
    b"gXYZ": icc_xyz(0.3851, 0.7169, 0.0971),
    b"bXYZ": icc_xyz(0.1431, 0.0606, 0.7141),
}


def rgb_profile(red: bytes, green: bytes, blue: bytes, curve: bytes = icc_gamma(2.2)) -> bytes:
    """A profile whose red, green and blue are the sRGB colorants named."""
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    colorants = {
        b"rXYZ": SRGB_COLORANTS[red],
        b"gXYZ": SRGB_COLORANTS[green],
        b"bXYZ": SRGB_COLORANTS[blue],
    }
    return icc_profile(b"RGB ", colorants | curves | {b"wtpt": icc_xyz(0.9642, 1.0, 0.8249)})


def srgb_light(level: float) -> float:
    """A level of sRGB, 0–1 → its share of the light (IEC 61966-2-1)."""
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4


def decoded_pixel(data: bytes, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    image = decode_image(data).image
    assert image.mode == "RGB"
    pixel = image.getpixel(at)
    assert isinstance(pixel, tuple)
    return pixel


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("L", "JPEG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("P", "BMP"),
        ("RGB", "PNG"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "TIFF"),
        ("LAB", "TIFF"),
        ("I;16", "PNG"),
        ("I;16", "TIFF"),
    ],
)
def test_opaque_modes_become_the_rgb_they_show(mode: str, file_format: str) -> None:
    source = drawn("RGB").convert("RGB") if mode == "YCbCr" else drawn(mode)
    expected = drawn("L") if mode == "I;16" else source

    image = decode_image(encoded(drawn(mode), file_format)).image

    difference = np.asarray(image).astype(int) - np.asarray(expected.convert("RGB"))
    assert image.mode == "RGB"
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_transparency_shows_white(mode: str, file_format: str) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255)).convert(mode)
    clear, half = ((0, 0, 0, 0), (0, 0, 0, 128)) if mode == "RGBA" else ((0, 0), (0, 128))
    image.putpixel((1, 0), clear)
    image.putpixel((2, 0), half)
    data = encoded(image, file_format)

    assert [decoded_pixel(data, (x, 0)) for x in range(3)] == [(0, 0, 0), WHITE, (127, 127, 127)]


def test_a_transparent_webp_and_avif_show_white() -> None:
    image = Image.new("RGBA", (16, 16), (200, 0, 0, 0))

    assert decoded_pixel(encoded(image, "WEBP", lossless=True)) == WHITE
    assert decoded_pixel(encoded(image, "AVIF")) == pytest.approx(WHITE, abs=2)


def test_a_transparent_palette_entry_shows_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 255, 255, 0, 0])
    image.putpixel((1, 0), 1)

    for file_format in ("PNG", "GIF"):
        data = encoded(image, file_format, transparency=1)
        assert decoded_pixel(data) == (0, 0, 255), file_format
        assert decoded_pixel(data, (1, 0)) == WHITE, file_format


def test_a_palette_with_degrees_of_transparency_is_laid_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)

    data = encoded(image, "PNG", transparency=b"\x80\xff")

    assert decoded_pixel(data) == (127, 127, 127)
    assert decoded_pixel(data, (1, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("rows", "transparent", "depth", "color"),
    [
        (b"\0\x40\x50", b"\0\x40", 8, 0),
        (b"\0\x01\x02\x20\x20", b"\x01\x02", 16, 0),
        (b"\0\x40\x41\x42\x50\x50\x50", b"\0\x40\0\x41\0\x42", 8, 2),
        (b"\0\x40", b"\0\0", 1, 0),
    ],
    ids=["grey", "16-bit grey", "RGB", "black and white"],
)
def test_a_colour_declared_transparent_shows_white(
    rows: bytes, transparent: bytes, depth: int, color: int
) -> None:
    data = png_file((2, 1), rows, png_chunk(b"tRNS", transparent), depth=depth, color=color)

    assert decoded_pixel(data) == WHITE
    if depth > 1:
        assert decoded_pixel(data, (1, 0)) != WHITE


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    levels = np.array([[0, 257, 128 * 257, 65535]], np.uint16)

    grey = decode_image(encoded(Image.fromarray(levels), "PNG")).image
    colored = decode_image(png_file((1, 1), b"\0\x80\x00\x40\x00\xff\xff", depth=16)).image

    assert np.asarray(grey)[0, :, 0].tolist() == [0, 1, 128, 255]
    assert colored.getpixel((0, 0)) == (128, 64, 255)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 32768.0, 65535.0], [0, 128, 255]),
        ([-50.0, 0.0, 50.0], [0, 128, 255]),
        ([np.nan, 0.0, 1.0], [0, 0, 255]),
        ([-np.inf, 0.25, np.inf], [0, 64, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
        ([-3e38, 0.0, 3e38], None),
        ([7e5, 7e5, 7e5], [0, 0, 0]),
    ],
)
def test_floats_are_scaled_by_the_range_they_fit(
    values: list[float], expected: list[int] | None
) -> None:
    image = Image.fromarray(np.array([values], np.float32))

    levels = np.asarray(decode_image(encoded(image, "TIFF")).image)[0, :, 0].tolist()

    assert expected is None or levels == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 100, 255], [0, 100, 255]), ([0, 65535], [0, 255]), ([-10, 0, 10], [0, 128, 255])],
)
def test_wide_integers_are_scaled_by_the_range_they_fit(
    values: list[int], expected: list[int]
) -> None:
    image = Image.fromarray(np.array([values], np.int32))

    decoded = decode_image(encoded(image, "TIFF")).image

    assert np.asarray(decoded)[0, :, 0].tolist() == expected


def test_a_cmyk_jpeg_is_not_inverted() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))

    assert decoded_pixel(encoded(image, "JPEG")) == pytest.approx((255, 0, 0), abs=4)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_an_embedded_profile_is_converted_to_srgb(file_format: str) -> None:
    swapped = rgb_profile(b"gXYZ", b"rXYZ", b"bXYZ")
    data = encoded(Image.new("RGB", (16, 16), (255, 0, 0)), file_format, icc_profile=swapped)

    assert decoded_pixel(data) == pytest.approx((0, 255, 0), abs=6)


def test_a_profile_applies_beneath_transparency() -> None:
    swapped = rgb_profile(b"gXYZ", b"rXYZ", b"bXYZ")
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    data = encoded(image, "PNG", icc_profile=swapped)

    assert decoded_pixel(data) == pytest.approx((0, 255, 0), abs=3)
    assert decoded_pixel(data, (1, 0)) == WHITE


def test_a_grey_profile_is_applied_to_grey() -> None:
    linear = icc_profile(b"GRAY", {b"wtpt": icc_xyz(0.9642, 1.0, 0.8249), b"kTRC": icc_gamma(1.0)})
    data = encoded(Image.new("L", (4, 4), 128), "PNG", icc_profile=linear)

    # Half the light is level 188 in sRGB.
    assert decoded_pixel(data) == pytest.approx((188, 188, 188), abs=3)


def test_a_profile_that_is_srgb_by_another_name_changes_no_level() -> None:
    named = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sampled = rgb_profile(
        b"rXYZ", b"gXYZ", b"bXYZ", icc_curve([srgb_light(at / 15) for at in range(16)])
    )

    for profile in (named, sampled):
        decoded = decode_image(encoded(drawn(), "PNG", icc_profile=profile)).image
        assert np.array_equal(np.asarray(decoded), np.asarray(drawn()))


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile at all",
        rgb_profile(b"gXYZ", b"rXYZ", b"bXYZ")[:200],
        icc_profile(b"GRAY", {b"kTRC": icc_gamma(1.0)}),
        icc_profile(b"RGB ", {}),
    ],
    ids=["text", "cut off", "of another colour space", "without contents"],
)
def test_a_profile_that_can_not_be_used_is_ignored(profile: bytes) -> None:
    decoded = decode_image(encoded(drawn(), "PNG", icc_profile=profile)).image

    assert np.array_equal(np.asarray(decoded), np.asarray(drawn()))


def test_white_is_zero_where_a_tiff_says_so() -> None:
    tags = {
        256: (4, [2]),
        257: (4, [1]),
        258: (3, [8]),
        259: (3, [1]),
        262: (3, [0]),
        273: (4, [0]),
        277: (3, [1]),
        278: (4, [1]),
        279: (4, [2]),
    }
    data = tiff_file(tags, b"\x00\xff")

    assert [decoded_pixel(data, (x, 0)) for x in range(2)] == [WHITE, (0, 0, 0)]
