"""Any mode that Pillow decodes to → RGB as a screen shows it."""

import io
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

# Colours moved by less than this (of 255) by a profile are left as they are: the profile is sRGB
# by another name.
_UNSEEN_DIFFERENCE = 2

# A profile larger than this is no profile; CMYK ones of 2 MB are usual.
_MAX_PROFILE_BYTES = 4 * 1024 * 1024


def to_rgb(image: Image.Image) -> Image.Image:
    """Loaded picture of any mode → RGB in sRGB, what is transparent over white."""
    color, alpha = _split_alpha(image)
    rgb = _apply_profile(color, image.info.get("icc_profile"))
    if alpha is None or alpha.getextrema() == (255, 255):
        return rgb
    over_white = Image.new("RGB", rgb.size, "white")
    over_white.paste(rgb, mask=alpha)
    return over_white


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A picture of any mode → L, RGB, CMYK or LAB, and its alpha as L."""
    image = _eight_bits(image)
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    elif image.mode == "La":
        image = image.convert("LA")
    elif image.mode in {"P", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in {"RGBA", "LA"}:
        alpha = image.getchannel("A")
        return image.convert(image.mode[:-1]), alpha
    if image.mode == "1":
        return image.convert("L"), None
    if image.mode not in {"L", "RGB", "CMYK", "LAB"}:
        return image.convert("RGB"), None
    return image, None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits → L by scale, where Pillow's own conversion would clip."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        grey = Image.fromarray((values >> 8).astype(np.uint8))
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
        return grey
    return Image.fromarray(_scaled_to_bytes(values))


def _scaled_to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers without a declared range → 0–255: by the usual range they fit, else by their own."""
    scaled = values.astype(np.float32)
    finite = np.isfinite(scaled)
    low = float(scaled.min(where=finite, initial=np.inf))
    high = float(scaled.max(where=finite, initial=-np.inf))
    usual = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
    top = next((top for top in usual if low >= 0 and high <= top), None)
    if top is not None:
        low, high = 0.0, top
    with np.errstate(all="ignore"):
        scaled -= low
        scaled *= 255.0 / (high - low) if high > low else 0.0
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    return scaled.clip(0, 255, out=scaled).round(out=scaled).astype(np.uint8)


def _apply_profile(color: Image.Image, profile: object) -> Image.Image:
    if isinstance(profile, bytes) and 0 < len(profile) <= _MAX_PROFILE_BYTES:
        transform = _transform_to_srgb(profile, color.mode)
        if transform is not None:
            return transform.apply(color)
    return color if color.mode == "RGB" else color.convert("RGB")


@lru_cache(maxsize=16)
def _transform_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where there is nothing to do: broken, meant for other modes, or sRGB already."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
        probe = _probe(mode)
        difference = np.asarray(transform.apply(probe), np.int16) - np.asarray(
            probe.convert("RGB"), np.int16
        )
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    return None if np.abs(difference).max() <= _UNSEEN_DIFFERENCE else transform


def _probe(mode: str) -> Image.Image:
    """A small picture with colours from all over the mode's cube."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    levels = np.linspace(0, 255, 6).astype(np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * bands), axis=-1).reshape(1, -1, bands)
    return Image.fromarray(grid[..., 0] if bands == 1 else grid, mode)
