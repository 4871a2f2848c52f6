"""Bytes → an upright RGB picture, with the limits checked before any pixel is decoded."""

import io
from dataclasses import dataclass

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from imaging import pillow_quiet  # noqa: F401  (imported for its effect)
from imaging.color import to_rgb
from imaging.errors import UnreadableImage
from imaging.facts import ImageFacts, read_exif, read_facts, read_orientation
from imaging.formats import sniff_format, unreadable_by_content

# The plugins are called by name: `Image.open` would let content choose among all of them (a JPEG
# could become an MPO), and warns.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
}
_NAMES = {"gif": "GIF", "webp": "WebP"}

_UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class DecodeLimits:
    """How large a picture may be, by its header and in its file."""

    max_pixels: int = 100_000_000
    max_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True)
class DecodedImage:
    """A picture as a person sees it.

    `image` is upright RGB, what is transparent over white, and perhaps shrunk; `width` and
    `height` are of the full upright picture; `format` is as `sniff_format` says it.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    facts: ImageFacts


def decode_image(
    data: bytes, *, min_side: int | None = None, limits: DecodeLimits = DecodeLimits()
) -> DecodedImage:
    """The first (or only) picture in `data`. Raises UnreadableImage, and nothing else but
    MemoryError, whatever the bytes are.

    With `min_side` a JPEG may be shrunk while it is decoded (by 2, 4 or 8), to no less than that
    many pixels on either side.
    """
    if len(data) > limits.max_bytes:
        raise UnreadableImage(
            "too_large",
            f"has {len(data):,} bytes, more than the limit of {limits.max_bytes:,} "
            "(raise max_bytes)",
        )
    format_name = sniff_format(data[:256])
    if format_name not in _PLUGINS:
        raise unreadable_by_content(data[:256])
    try:
        return _decode(data, format_name, min_side, limits)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:
        # Pillow's plugins raise what they like for bad bytes: OSError, SyntaxError, ValueError,
        # struct.error, IndexError, AttributeError and more.
        raise _unreadable(data, format_name, error) from error


def _decode(
    data: bytes, format_name: str, min_side: int | None, limits: DecodeLimits
) -> DecodedImage:
    if format_name == "webp":
        # Opening a WebP already makes room for its canvas.
        _check_pixels(_webp_canvas(data), limits)
    with _PLUGINS[format_name](io.BytesIO(data)) as opened:
        _check_pixels(opened.size, limits)
        exif = read_exif(opened)
        facts, orientation = read_facts(exif), read_orientation(exif)
        width, height = opened.size
        if min_side is not None:
            opened.draft(opened.mode, (min_side, min_side))
        opened.load()
        # A copy where nothing was converted, so that the encoded bytes are let go.
        image = to_rgb(opened)
        image = opened.copy() if image is opened else image
    # Pillow turns a TIFF upright by itself.
    if orientation in _UPRIGHT_BY and format_name != "tiff":
        image = image.transpose(_UPRIGHT_BY[orientation])
        if orientation >= 5:
            width, height = height, width
    # What is done must not look undone: orientation and profile are applied.
    image.info = {}
    return DecodedImage(image, width, height, format_name, facts)


def _check_pixels(size: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise UnreadableImage(
            "too_many_pixels",
            f"has {width:,} × {height:,} pixels, more than the limit of "
            f"{_people_number(limits.max_pixels)} (raise max_pixels)",
        )


def _people_number(number: int) -> str:
    return f"{number // 1_000_000} million" if number % 1_000_000 == 0 else f"{number:,}"


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """Width and height from the first chunk's header; (0, 0) where there is none to read."""
    chunk, head = data[12:16], data[20:30]
    if chunk == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(
        head[8:10], "little"
    ) & 0x3FFF


def _unreadable(data: bytes, format_name: str, error: Exception) -> UnreadableImage:
    name = _NAMES.get(format_name, format_name.upper())
    detail = " ".join(str(error).split())[:200]
    if "truncated" in detail.lower() or _is_cut_off(data, format_name):
        return UnreadableImage("truncated", f"is cut off: only part of the {name} is there")
    if detail.lower().startswith(("unsupported", "cannot handle", "unknown")):
        return UnreadableImage(
            "unsupported_format",
            f"is a {name} of a kind that is not read ({detail}): save it as an ordinary one",
        )
    return UnreadableImage("corrupt", f"is a damaged {name} ({detail or type(error).__name__})")


def _is_cut_off(data: bytes, format_name: str) -> bool:
    """Whether the end that the format promises is missing."""
    if format_name == "jpeg":
        return b"\xff\xd9" not in data
    if format_name == "png":
        return b"IEND" not in data[-64:] and data.rfind(b"IEND") == -1
    if format_name == "webp":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if format_name == "bmp":
        return int.from_bytes(data[2:6], "little") > len(data)
    return False
