import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skimage
from imaging_pictures import (
    bmp_of_runs,
    drawn,
    encoded,
    grey_tiff_tags,
    png_chunk,
    png_file,
    quadrants,
    tiff_file,
)
from PIL import Image

from imaging import decode_image

ORIENTATION = 0x0112


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def skimage_file(name: str) -> bytes:
    return (Path(skimage.__file__).parent / "data" / name).read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_every_exif_orientation_is_turned_upright(file_format: str, orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = quadrants()
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation

    decoded = decode_image(encoded(stored, file_format, exif=exif))

    assert (decoded.width, decoded.height) == decoded.image.size == (64, 48)
    assert np.abs(pixels(decoded.image) - pixels(quadrants()))[4:20, 4:28].max() < 12
    for corner in ((4, 4), (59, 4), (4, 43), (59, 43)):
        assert decoded.image.getpixel(corner) == pytest.approx(quadrants().getpixel(corner), abs=12)


@pytest.mark.parametrize("orientation", [1, 6])
def test_nothing_is_left_in_the_picture_that_could_turn_it_twice(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation

    image = decode_image(encoded(drawn(), "JPEG", exif=exif)).image

    assert type(image) is Image.Image
    assert image.info == {}
    assert ORIENTATION not in image.getexif()


def test_a_tiff_turned_by_its_xmp_has_the_size_it_is_turned_to() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'

    decoded = decode_image(encoded(drawn(), "TIFF", tiffinfo={700: xmp}))

    assert (decoded.width, decoded.height) == decoded.image.size == (43, 61)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation

    assert decode_image(encoded(drawn(), "JPEG", exif=exif)).image.size == (61, 43)


def test_a_jpeg_is_shrunk_while_decoded_but_both_sides_stay_long_enough() -> None:
    data = encoded(drawn(width=2000, height=1500), "JPEG")

    sizes = {side: decode_image(data, min_side=side).image.size for side in (180, 300, 448, 900)}

    assert sizes == {180: (250, 188), 300: (500, 375), 448: (1000, 750), 900: (2000, 1500)}


def test_a_shrunk_and_turned_jpeg_keeps_its_full_upright_size_as_a_fact() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    data = encoded(drawn(width=2000, height=1000), "JPEG", exif=exif)

    decoded = decode_image(data, min_side=100)

    assert decoded.image.size == (125, 250)
    assert (decoded.width, decoded.height) == (1000, 2000)


def test_a_panorama_is_shrunk_by_its_shorter_side() -> None:
    data = encoded(drawn(width=3000, height=230), "JPEG")

    assert decode_image(data, min_side=224).image.size == (3000, 230)


def test_without_a_minimal_side_nothing_is_shrunk() -> None:
    assert decode_image(encoded(drawn(width=2000, height=1500), "JPEG")).image.size == (2000, 1500)


@pytest.mark.parametrize("name", ["retina.jpg", "hubble_deep_field.jpg"])
def test_shrinking_while_decoding_hardly_changes_what_an_encoder_sees(name: str) -> None:
    data = skimage_file(name)
    size = (160, 160)

    whole = decode_image(data).image
    shrunk = decode_image(data, min_side=320).image

    assert shrunk.width < whole.width
    bilinear = Image.Resampling.BILINEAR
    difference = np.abs(
        pixels(whole.resize(size, bilinear)) - pixels(shrunk.resize(size, bilinear))
    )
    assert difference.mean() < 1.0


def test_animations_and_page_files_give_their_first_picture() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")

    for file_format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        data = encoded(first, file_format, save_all=True, append_images=[second])
        decoded = decode_image(data)
        assert decoded.image.getpixel((4, 4)) == pytest.approx((255, 0, 0), abs=4), file_format


def test_an_interlaced_png_is_read() -> None:
    # One pixel in each of the first two passes of a 5 × 1 picture, then its other three.
    passes = [[(1, 1, 1)], [(5, 5, 5)], [(3, 3, 3)], [(2, 2, 2), (4, 4, 4)]]
    rows = b"".join(b"\0" + bytes(level for pixel in row for level in pixel) for row in passes)

    image = decode_image(png_file((5, 1), rows, interlaced=True)).image

    assert pixels(image)[0, :, 0].tolist() == [1, 2, 3, 4, 5]


def test_a_run_length_bmp_is_read() -> None:
    # 5 5 5 above 1 2 3: three of a kind, then three given singly (and a byte of padding).
    runs = b"\x00\x03\x01\x02\x03\x00\x00\x00\x03\x05\x00\x01"

    image = decode_image(bmp_of_runs(3, 2, runs)).image

    assert pixels(image)[..., 0].tolist() == [[5, 5, 5], [1, 2, 3]]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_compressions_lose_nothing(compression: str) -> None:
    decoded = decode_image(encoded(drawn(), "TIFF", compression=compression))

    assert np.array_equal(pixels(decoded.image), pixels(drawn()))


def test_a_tiled_tiff_is_read() -> None:
    tile = bytes(range(256))
    tags = grey_tiff_tags(10, 10)
    for strip_tag in (273, 278, 279):
        del tags[strip_tag]
    tags |= {322: (4, [16]), 323: (4, [16]), 324: (4, [0]), 325: (4, [256])}

    image = decode_image(tiff_file(tags, tile)).image

    expected = np.arange(256).reshape(16, 16)[:10, :10]
    assert np.array_equal(pixels(image)[..., 0], expected)


def test_a_tiff_may_have_more_tiles_than_rows() -> None:
    tags = grey_tiff_tags(272, 272)
    for strip_tag in (273, 278, 279):
        del tags[strip_tag]
    tags |= {322: (4, [16]), 323: (4, [16]), 324: (4, [0] * 289), 325: (4, [256] * 289)}

    image = decode_image(tiff_file(tags, bytes(range(256)))).image

    assert image.crop((256, 256, 272, 272)) == image.crop((0, 0, 16, 16))


@pytest.mark.parametrize("size", [(1, 1), (10_000, 10), (3, 2000)])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_extreme_shapes_are_read(file_format: str, size: tuple[int, int]) -> None:
    decoded = decode_image(encoded(Image.new("RGB", size, "teal"), file_format), min_side=224)

    assert decoded.image.size == size
    assert decoded.image.getpixel((0, 0)) == pytest.approx((0, 128, 128), abs=4)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_garbage_behind_the_picture_is_ignored(file_format: str) -> None:
    data = encoded(drawn(), file_format)

    assert decode_image(data + b"garbage" * 500).image == decode_image(data).image


def test_what_pillow_warns_of_goes_unsaid() -> None:
    broken_exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\xff\xff\x7f\xff\xff\xff"
    odd_tags = grey_tiff_tags(4, 4) | {277: (3, [1, 1])}
    no_frames = png_chunk(b"acTL", bytes(8))

    assert decode_image(encoded(drawn(), "JPEG", exif=broken_exif)).image.size == (61, 43)
    assert decode_image(tiff_file(odd_tags, bytes(range(16)))).image.size == (4, 4)
    assert decode_image(png_file((1, 1), b"\0\1\2\3", no_frames)).image.size == (1, 1)


def test_many_threads_decode_what_one_does() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 5
    files = [
        encoded(drawn(width=900, height=700), "JPEG", exif=exif),
        encoded(drawn("P"), "PNG", transparency=3),
        encoded(drawn("RGBA"), "WEBP"),
        encoded(drawn("CMYK"), "TIFF", compression="tiff_lzw"),
        encoded(drawn("I;16"), "PNG"),
        encoded(drawn(), "AVIF"),
    ]
    alone = [decode_image(data, min_side=100).image for data in files]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: decode_image(data, min_side=100).image, files * 12))

    assert together == alone * 12


def test_the_bytes_are_not_kept_alive_by_the_picture() -> None:
    image = decode_image(encoded(drawn(), "WEBP")).image

    assert not any(isinstance(value, io.BytesIO) for value in vars(image).values())
