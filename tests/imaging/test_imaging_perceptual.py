"""The hash and the look, on photographs from the sample packages and on drawn pictures."""

import io
import random
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from imaging import make_thumbnail
from imaging.perceptual import SAYS_NOTHING, Look, look_of, perceptual_hash
from storage import duplicates

skimage = pytest.importorskip("skimage")

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "coins.png", "page.png")


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    folder = Path(skimage.__file__).parent / "data"
    return [Image.open(folder / name).convert("RGB") for name in NAMES]


def scaled(picture: Image.Image, share: float) -> Image.Image:
    return picture.resize((round(picture.width * share), round(picture.height * share)))


def encoded(picture: Image.Image, format_name: str, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, format_name, quality=quality)
    return Image.open(file).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda picture: scaled(picture, 1 / 2),
    "a quarter of the size": lambda picture: scaled(picture, 1 / 4),
    "JPEG quality 30": lambda picture: encoded(picture, "JPEG", 30),
    "WebP quality 30": lambda picture: encoded(picture, "WEBP", 30),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.85),
    "the stored thumbnail": lambda picture: Image.open(
        io.BytesIO(make_thumbnail(picture, 512))
    ).convert("RGB"),
}


def bits_apart(one: int, other: int) -> int:
    return ((one ^ other) & (2**64 - 1)).bit_count()


def look(picture: Image.Image) -> Look:
    found = look_of(make_thumbnail(picture, 512))
    assert found is not None
    return found


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_close_and_looks_the_same(photographs: list[Image.Image], copy: str) -> None:
    for picture in photographs:
        other = COPIES[copy](picture)
        apart = bits_apart(perceptual_hash(picture), perceptual_hash(other))
        assert apart <= duplicates.SAME_PICTURE_BITS
        assert look(picture).same_as(look(other))


def test_different_pictures_are_far_apart(photographs: list[Image.Image]) -> None:
    hashes = [perceptual_hash(picture) for picture in photographs]
    apart = [bits_apart(one, other) for one, other in combinations(hashes, 2)]
    assert min(apart) > 2 * duplicates.SAME_PICTURE_BITS


def test_a_hash_is_a_signed_number_of_64_bits(photographs: list[Image.Image]) -> None:
    hashes = [perceptual_hash(picture) for picture in photographs]
    assert all(-(2**63) <= each < 2**63 for each in hashes)
    assert min(hashes) < 0 < max(hashes)


def test_a_picture_of_one_colour_says_nothing() -> None:
    assert duplicates.SAYS_NOTHING == SAYS_NOTHING
    for color in ("white", "black", "#3070a0"):
        plain = Image.new("RGB", (300, 200), color)
        assert perceptual_hash(plain) == SAYS_NOTHING
        assert perceptual_hash(encoded(plain, "JPEG", 20)) == SAYS_NOTHING


def test_two_shots_of_one_thing_do_not_look_the_same() -> None:
    folder = Path(skimage.__file__).parent / "data"
    left, right = (
        Image.open(folder / f"motorcycle_{side}.png").convert("RGB") for side in ("left", "right")
    )
    assert bits_apart(perceptual_hash(left), perceptual_hash(right)) <= 8
    assert not look(left).same_as(look(right))


def test_the_same_thing_in_another_colour_does_not_look_the_same(
    photographs: list[Image.Image],
) -> None:
    for picture in photographs[:2]:
        recolored = Image.fromarray(np.asarray(picture)[..., [2, 0, 1]].copy())
        assert not look(picture).same_as(look(recolored))


def test_symmetric_drawings_are_known_again_and_told_apart() -> None:
    """Half of their waves are nothing but noise."""
    drawings = []
    for seed in range(6):
        chance = random.Random(seed)
        drawing = Image.new("RGB", (256, 256), "white")
        for radius in (chance.randint(70, 120), chance.randint(20, 60)):
            fill = tuple(chance.randint(0, 200) for _ in range(3))
            box = [128 - radius, 128 - radius, 127 + radius, 127 + radius]
            ImageDraw.Draw(drawing).ellipse(box, fill=fill)
        drawings.append(drawing)
        copy = encoded(scaled(drawing, 1 / 2), "JPEG", 40)
        assert bits_apart(perceptual_hash(drawing), perceptual_hash(copy)) <= 8
        assert look(drawing).same_as(look(copy))
    for one, other in pairwise(drawings):
        assert not look(one).same_as(look(other))


def test_a_damaged_thumbnail_has_no_look() -> None:
    webp = make_thumbnail(Image.new("RGB", (64, 64), "red"), 512)
    assert look_of(webp[: len(webp) // 2]) is None
    assert look_of(b"") is None
