import io
import time

import numpy as np
import pytest
import skimage.data
from imaging_pictures import drawn, quadrants
from PIL import Image

from imaging import THUMBNAIL_MIME, dominant_color, make_thumbnail


def opened(thumbnail: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(thumbnail))
    image.load()
    return image


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 750), (320, 240)),
        ((750, 1000), (240, 320)),
        ((320, 100), (320, 100)),
        ((40, 30), (40, 30)),
        ((10_000, 10), (320, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_the_longer_side_fits_and_nothing_is_enlarged(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = opened(make_thumbnail(Image.new("RGB", size, "teal"), 320))

    assert image.size == expected
    assert image.mode == "RGB"
    assert Image.MIME[image.format or ""] == THUMBNAIL_MIME


def test_a_thumbnail_looks_like_its_picture_and_is_small() -> None:
    photograph = Image.fromarray(skimage.data.astronaut())

    thumbnail = make_thumbnail(photograph, 256)

    ideal = np.asarray(photograph.resize((256, 256), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(np.asarray(opened(thumbnail)) - ideal).mean() < 5
    assert len(thumbnail) < 16_000


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 750), (500, 375)),  # 12 MP, shrunk while decoded
        ((756, 1008), (378, 504)),
        ((1024, 768), (512, 384)),
        ((4000, 3000), (500, 375)),
        ((1152, 864), (512, 384)),  # a third of it would be too small
        ((1000, 1), (512, 1)),
    ],
)
def test_pixels_are_averaged_where_that_comes_near_enough_to_the_side(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert opened(make_thumbnail(Image.new("RGB", size, "teal"), 512)).size == expected


@pytest.mark.parametrize("side", [1000, 920])
def test_both_ways_of_shrinking_come_as_near_to_the_best(side: int) -> None:
    """1000: averaged. 920: resized, as half of it is too small."""
    photograph = Image.fromarray(skimage.data.astronaut()).resize((side, side))

    thumbnail = opened(make_thumbnail(photograph, 512))

    ideal = np.asarray(photograph.resize(thumbnail.size, Image.Resampling.LANCZOS), float)
    error = ((np.asarray(thumbnail) - ideal) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 33  # dB, most of it WebP's own


def test_making_a_thumbnail_leaves_the_picture_as_it_was() -> None:
    image = drawn(width=500, height=400)

    make_thumbnail(image, 100)

    assert image == drawn(width=500, height=400)


def test_the_leading_colour_is_that_of_the_largest_area() -> None:
    image = Image.new("RGB", (100, 100), (20, 40, 200))
    image.paste((250, 250, 250), (0, 0, 100, 30))

    assert dominant_color(image) == "#1428c8"


def test_the_leading_colour_is_none_that_is_not_there() -> None:
    # The mean of all four would be grey.
    color = dominant_color(quadrants())

    assert color in {"#ff0000", "#00ff00", "#0000ff", "#ffffff"}


def test_the_leading_colour_survives_compression_and_scaling() -> None:
    photograph = Image.fromarray(skimage.data.chelsea())
    small = opened(make_thumbnail(photograph, 200))

    levels = [bytes.fromhex(dominant_color(image)[1:]) for image in (photograph, small)]

    assert max(abs(a - b) for a, b in zip(*levels, strict=True)) < 16


def test_the_leading_colour_is_cheap() -> None:
    image = Image.new("RGB", (4000, 3000), "olive")
    dominant_color(image)

    started = time.perf_counter()
    for _ in range(20):
        dominant_color(image)

    assert (time.perf_counter() - started) / 20 < 0.005
