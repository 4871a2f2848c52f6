"""Camera RAW, by LibRaw: the picture that the camera made of it, or a plain development."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image, TiffImagePlugin

from imaging.errors import UnreadableImage
from imaging.guards import DecodeLimits, check_pixels
from imaging.packets import Packets, or_none

_INSTALL = (
    "is a camera RAW file, and reading those needs an extra: pip install 'polyglance[raw]' (then "
    "index again with --retry-failed)"
)

_TIFF_STARTS = (b"II*\0", b"MM\0*")
_TIFF_BEHIND = {b"IIRO": b"II*\0", b"IIRS": b"II*\0", b"IIU\0": b"II*\0", b"MMOR": b"MM\0*"}
"""A TIFF but for its first bytes: Olympus, Panasonic."""

_NEW_SUBFILE_TYPE, _PHOTOMETRIC, _DNG_VERSION = 254, 262, 50706
_COLOR_FILTERS, _LINEAR_RAW = 32803, 34892
_XMP = 700

# LibRaw's turns.
_UPRIGHT_BY = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.ROTATE_90,
    6: Image.Transpose.ROTATE_270,
}

# A preview whose side is a smaller share of the sensor's is a stamp.
_WHOLE_PREVIEW = 0.45


def is_raw_tiff(data: bytes) -> bool:
    """Whether the first directory of a TIFF is that of a RAW file: a DNG's, one of the sensor's own
    pixels, or of a stamp-sized preview, as Nikon and Sony have it."""
    tags = or_none(lambda: _first_directory(data)) or {}
    is_preview = or_none(lambda: tags.get(_NEW_SUBFILE_TYPE, 0) & 1)
    sensor = tags.get(_PHOTOMETRIC) in (_COLOR_FILTERS, _LINEAR_RAW)
    return bool(is_preview or sensor or _DNG_VERSION in tags)


def _first_directory(data: bytes) -> Any:
    tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    file = io.BytesIO(data)
    file.seek(tags.next)
    tags.load(file)
    return tags


def read_raw_packets(data: bytes) -> Packets:
    """EXIF and XMP of a RAW file that is a TIFF, or nearly; of others they are in the preview."""
    start = _TIFF_BEHIND.get(data[:4], data[:4])
    exif = Image.Exif()
    if start in _TIFF_STARTS:
        or_none(lambda: exif.load(b"Exif\0\0" + start + data[4:]))
    xmp = or_none(lambda: exif.get(_XMP))
    return Packets(exif, xmp if isinstance(xmp, bytes) else None)


class RawFile:
    """An open RAW file, of which no more than the header has been looked at."""

    def __init__(self, raw: Any, rawpy: Any) -> None:
        self._raw, self._rawpy = raw, rawpy
        self._sizes = raw.sizes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        width, height = self._sizes.width, self._sizes.height
        return (height, width) if self._sizes.flip in (5, 6) else (width, height)

    def preview(self) -> bytes | None:
        """The camera's own JPEG; None without one."""
        try:
            thumb = self._raw.extract_thumb()
        except self._rawpy.LibRawError:
            return None
        return bytes(thumb.data) if thumb.format == self._rawpy.ThumbFormat.JPEG else None

    def is_enough(self, preview: tuple[int, int], min_side: int | None) -> bool:
        """Whether a preview of this size will do: one with `min_side` pixels either way, or
        without one asked for, one about as large as the sensor."""
        wanted = _WHOLE_PREVIEW * min(self.size) if min_side is None else min_side
        return min(preview) >= wanted

    def turned_upright(self, preview: Image.Image) -> Image.Image:
        turn = _UPRIGHT_BY.get(self._sizes.flip)
        return preview if turn is None else preview.transpose(turn)

    def develop(self) -> Image.Image:
        """Upright, at half the sensor's size: two by two filters make a pixel."""
        self._raw.unpack()
        return Image.fromarray(
            self._raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
        )


@contextmanager
def opened_raw(data: bytes, limits: DecodeLimits) -> Iterator[RawFile]:
    """Raises UnreadableImage, also for what LibRaw raises within."""
    try:
        import rawpy
    except ImportError as error:
        raise UnreadableImage("unsupported_format", _INSTALL) from error
    try:
        with rawpy.RawPy() as raw:
            raw.open_buffer(io.BytesIO(data))
            check_pixels((raw.sizes.raw_width, raw.sizes.raw_height), limits)
            yield RawFile(raw, rawpy)
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnreadableImage(
            "unsupported_format",
            "is a camera RAW file of a kind that is not read: convert it to DNG or JPEG",
        ) from error
    except rawpy.LibRawIOError as error:
        raise UnreadableImage(
            "truncated", "is cut off: only part of the camera RAW file is there"
        ) from error
    except rawpy.LibRawError as error:
        reason = f"is a damaged camera RAW file ({_words(error)})"
        raise UnreadableImage("corrupt", reason) from error


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else type(error).__name__
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
