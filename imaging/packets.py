"""Where the formats keep what is written about a picture: EXIF, XMP and IPTC, as they come."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from PIL import Image, TiffImagePlugin

# What Pillow and this package raise when metadata are not what they should be.
BROKEN_METADATA = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)

_PHOTOSHOP_IPTC = 0x0404
_TIFF_IPTC = 33723

_Fact = TypeVar("_Fact")


@dataclass(frozen=True)
class Packets:
    """Unparsed but for the EXIF, which is empty when there is none."""

    exif: Image.Exif = field(default_factory=Image.Exif)
    xmp: bytes | None = None
    iptc: bytes | None = None


def or_none(read: Callable[[], _Fact]) -> _Fact | None:
    """What `read` returns, or None where the metadata behind it are broken."""
    try:
        return read()
    except BROKEN_METADATA:
        return None


def read_packets(image: Image.Image) -> Packets:
    """A TIFF's before it is loaded, any other picture's after."""
    return Packets(
        or_none(image.getexif) or Image.Exif(),
        or_none(lambda: _as_bytes(image.info.get("xmp"))),
        or_none(lambda: _iptc(image)),
    )


def _iptc(image: Image.Image) -> bytes | None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # As it lies in the file: many programs declare it as numbers of four bytes, and of those
        # Pillow's own look-up gives the first only.
        return image.tag_v2._tagdata.get(_TIFF_IPTC)
    return _as_bytes(image.info.get("photoshop", {}).get(_PHOTOSHOP_IPTC))


def _as_bytes(found: object) -> bytes | None:
    if isinstance(found, tuple) and len(found) == 1:
        found = found[0]
    if isinstance(found, str):
        return found.encode()
    return found if isinstance(found, bytes) else None
