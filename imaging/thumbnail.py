"""What stands for a picture in a list of results: a small WebP and one colour."""

import io

import numpy as np
from PIL import Image

THUMBNAIL_MIME = "image/webp"

_QUALITY = 78
_METHOD = 2


def make_thumbnail(image: Image.Image, max_side: int) -> bytes:
    """RGB picture → WebP whose longer side is at most `max_side` pixels, never enlarged."""
    scale = min(1.0, max_side / max(image.size))
    if scale < 1.0:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return out.getvalue()


def dominant_color(image: Image.Image) -> str:
    """RGB picture → '#rrggbb', the mean of the most frequent kind of colour in it."""
    pixels = np.asarray(image.resize((48, 48), Image.Resampling.NEAREST)).reshape(-1, 3)
    bins = (pixels >> 5).astype(np.uint16) @ np.array([64, 8, 1], np.uint16)
    members = pixels[bins == np.bincount(bins).argmax()]
    red, green, blue = members.mean(axis=0).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
