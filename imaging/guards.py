"""What a header may claim: checked before any pixel is decoded, so that no small file costs much.

Each check raises UnreadableImage. What the formats' own decoders bound already (text chunks of a
PNG, tags of a TIFF, scans of a JPEG inside a TIFF) is left to them.
"""

import re
from dataclasses import dataclass

from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, TiffImagePlugin

from imaging.errors import UnreadableImage

# Cameras and encoders write about ten, the keenest optimisers a few dozen. Every further scan
# costs a pass over the whole picture for as few as ten bytes.
_MAX_JPEG_SCANS = 100

# Run-length BMPs are decoded by a loop in Python.
_MAX_RLE_PIXELS = 16_000_000

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_START_OF_SCAN = b"\xff\xda"
_END_OF_IMAGE = b"\xff\xd9"

_TILE_WIDTH, _TILE_LENGTH = 322, 323
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
_SAMPLES_PER_PIXEL = 277


@dataclass(frozen=True)
class DecodeLimits:
    """How large a picture may be, by its header and in its file."""

    max_pixels: int = 100_000_000
    max_bytes: int = 512 * 1024 * 1024


def check_bytes(data: bytes, limits: DecodeLimits) -> None:
    if len(data) > limits.max_bytes:
        raise UnreadableImage(
            "too_large",
            f"has {len(data):,} bytes, more than the limit of {limits.max_bytes:,} "
            "(raise max_bytes)",
        )


def check_unopened(data: bytes, format_name: str, limits: DecodeLimits) -> None:
    """What must be known before Pillow opens the file: opening a WebP makes room for its canvas."""
    if format_name == "webp":
        check_pixels(_webp_canvas(data), limits)


def check_opened(opened: ImageFile.ImageFile, data: bytes, limits: DecodeLimits) -> None:
    """What Pillow has read of the header, and what it has not looked at."""
    check_pixels(opened.size, limits)
    if isinstance(opened, JpegImagePlugin.JpegImageFile):
        _check_jpeg_scans(opened, data)
    elif isinstance(opened, TiffImagePlugin.TiffImageFile):
        _check_tiff_layout(opened, limits)
    elif isinstance(opened, BmpImagePlugin.BmpImageFile):
        _check_bmp_runs(opened)


def check_pixels(size: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise UnreadableImage(
            "too_many_pixels",
            f"has {width:,} × {height:,} pixels, more than the limit of "
            f"{_spoken(limits.max_pixels)} (raise max_pixels)",
        )


def _spoken(number: int) -> str:
    millions, rest = divmod(number, 1_000_000)
    return f"{number:,}" if rest or not millions else f"{millions:,} million"


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """Width and height as the first chunk of a WebP has them."""
    chunk, body = data[12:16], data[20:30]
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = body[6:8], body[8:10]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF


def _check_jpeg_scans(opened: JpegImagePlugin.JpegImageFile, data: bytes) -> None:
    """A JPEG, progressive or not, may not ask for passes over its pixels without end.

    Costs 0.3 ms a megabyte: the coded pixels are searched for markers.
    """
    if opened.fp is None:
        return
    scans = 1
    # Pillow has read up to the pixels of the first scan.
    at = opened.fp.tell()
    while (marker := _MARKER.search(data, at)) and marker[0] != _END_OF_IMAGE:
        scans += marker[0] == _START_OF_SCAN
        if scans > _MAX_JPEG_SCANS:
            raise UnreadableImage(
                "corrupt",
                f"is a JPEG of more than {_MAX_JPEG_SCANS} scans: save it as an ordinary one",
            )
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        at = marker.end() + max(2, length)


def _check_tiff_layout(opened: TiffImagePlugin.TiffImageFile, limits: DecodeLimits) -> None:
    """A tile is decoded whole however little of it is used, and a strip each time it is named."""
    tags = opened.tag_v2
    if _TILE_OFFSETS in tags:
        check_pixels((tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0)), limits)
    pieces = len(tags.get(_STRIP_OFFSETS, ())) + len(tags.get(_TILE_OFFSETS, ()))
    width, height = opened.size
    most = max(width, height, 1) * tags.get(_SAMPLES_PER_PIXEL, 1)
    if _TILE_OFFSETS in tags:
        most *= min(width, height)
    if pieces > most:
        raise UnreadableImage("corrupt", f"is a damaged TIFF (it claims {pieces:,} strips)")


def _check_bmp_runs(opened: BmpImagePlugin.BmpImageFile) -> None:
    run_length = bool(opened.tile) and opened.tile[0].codec_name == "bmp_rle"
    if run_length and opened.width * opened.height > _MAX_RLE_PIXELS:
        raise UnreadableImage(
            "unsupported_format",
            f"is a run-length BMP of more than {_spoken(_MAX_RLE_PIXELS)} pixels: save it as PNG",
        )
