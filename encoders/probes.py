"""Fixed texts and pictures to try an encoder with. Changing one invalidates recorded goldens."""

import numpy as np
from PIL import Image

PROBE_TEXTS = (
    "a red disc on a blue background",
    "con mèo ngủ trên bàn",
    "雪の中の犬",
    "старый дом у моря",
    "سوق مزدحم في الليل",
)


def probe_pictures() -> list[Image.Image]:
    """A disc, stripes and a checkerboard over gradients, of three aspect ratios.

    Computed in integers, so that every machine and version of Pillow has the same bytes.
    """
    return [_disc(320, 240), _stripes(160, 360), _checkerboard(256, 256)]


def _disc(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    inside = (x - width // 3) ** 2 + (y - height // 2) ** 2 < (height // 3) ** 2
    red = np.where(inside, 220, 20)
    green = np.where(inside, 30, y * 120 // height)
    return _picture(red, green, np.where(inside, 40, 255 - x * 100 // width))


def _stripes(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    on = (x + y) // 24 % 2
    return _picture(on * 200 + 30, on * 160 + y * 60 // height, 40 + x * 0)


def _checkerboard(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    on = (x // 32 + y // 32) % 2
    return _picture(on * 255, on * 255 - on * x * 128 // width, x * 255 // width)


def _picture(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> Image.Image:
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))
