"""What stands for a picture in a list of results: a small WebP and one colour."""

import io
from math import ceil

import numpy as np
from PIL import Image

THUMBNAIL_MIME = "image/webp"

# Of photographs at 512 pixels, method 0 takes 3.7 ms and 21.5 kB where 2 takes 6.3 ms and 19.3 kB
# at the same likeness (38.1 dB): beside a model that takes 60 ms a picture, that is time to save.
_QUALITY = 76
_METHOD = 0

_NEAR_ENOUGH = 15 / 16
"""Of the side that is wanted. Most cameras' pictures, shrunk while they are decoded, are twice
that or little less: averaging 2 × 2 pixels takes a fifth of the time of resizing to the very side,
and is nearer to Lanczos (48.1 dB against 46.8)."""


def make_thumbnail(image: Image.Image, max_side: int) -> bytes:
    """RGB picture → WebP whose longer side is at most `max_side` pixels and hardly fewer, never
    enlarged."""
    out = io.BytesIO()
    _shrunk(image, max_side).save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return out.getvalue()


def _shrunk(image: Image.Image, max_side: int) -> Image.Image:
    longer = max(image.size)
    if longer <= max_side:
        return image
    whole = ceil(longer / max_side)
    if ceil(longer / whole) >= _NEAR_ENOUGH * max_side and min(image.size) >= whole:
        return image.reduce(whole)
    size = [max(1, round(side * max_side / longer)) for side in image.size]
    # Three fifths of the time of bicubic, and not told from Lanczos by eye (48 dB).
    return image.resize((size[0], size[1]), Image.Resampling.HAMMING, reducing_gap=1.5)


def dominant_color(image: Image.Image) -> str:
    """RGB picture → '#rrggbb': the mean of the most frequent kind of colour in it."""
    pixels = np.asarray(image.resize((64, 64), Image.Resampling.NEAREST)).reshape(-1, 3)
    red, green, blue = (pixels >> 5).astype(np.intp).T
    kinds = red << 6 | green << 3 | blue
    members = pixels[kinds == np.bincount(kinds).argmax()]
    return "#" + "".join(f"{level:02x}" for level in members.mean(axis=0).round().astype(int))
