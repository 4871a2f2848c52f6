"""What stands for a picture in a list of results: a small WebP and one colour."""

import io

import numpy as np
from PIL import Image

THUMBNAIL_MIME = "image/webp"

# Of photographs at 512 pixels, method 0 takes 3.7 ms and 21.5 kB where 2 takes 6.3 ms and 19.3 kB
# at the same likeness (38.1 dB): beside a model that takes 60 ms a picture, that is time to save.
_QUALITY = 76
_METHOD = 0


def make_thumbnail(image: Image.Image, max_side: int) -> bytes:
    """RGB picture → WebP whose longer side is at most `max_side` pixels, never enlarged."""
    scale = max_side / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        # Three fifths of the time of bicubic, and not told from Lanczos by eye (48 dB).
        image = image.resize(size, Image.Resampling.HAMMING, reducing_gap=1.5)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return out.getvalue()


def dominant_color(image: Image.Image) -> str:
    """RGB picture → '#rrggbb': the mean of the most frequent kind of colour in it."""
    pixels = np.asarray(image.resize((64, 64), Image.Resampling.NEAREST)).reshape(-1, 3)
    red, green, blue = (pixels >> 5).astype(np.intp).T
    kinds = red << 6 | green << 3 | blue
    members = pixels[kinds == np.bincount(kinds).argmax()]
    return "#" + "".join(f"{level:02x}" for level in members.mean(axis=0).round().astype(int))
