"""What a decoder raised → why, in the words of UnreadableImage."""

from collections.abc import Callable
from typing import Literal

from imaging.errors import UnreadableImage

_Order = Literal["little", "big"]

_NAMES = {"webp": "WebP", "heif": "HEIC/HEIF picture", "raw": "camera RAW file"}
# By TIFF type: bytes of one value; 1 for those not named.
_TIFF_TYPE_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}

_VARIANT = ("unsupported", "cannot handle", "unknown")


def explain_failure(data: bytes, format_name: str, error: Exception) -> UnreadableImage:
    """The reason that `data`, which begins like `format_name`, could not be decoded."""
    name = _NAMES.get(format_name, format_name.upper())
    detail = " ".join(str(error).split())[:200]
    if "truncated" in detail.lower() or _IS_CUT_OFF[format_name](data):
        return UnreadableImage("truncated", f"is cut off: only part of the {name} is there")
    if detail.lower().startswith(_VARIANT):
        return UnreadableImage(
            "unsupported_format",
            f"is a {name} of a kind that is not read ({detail}): save it as an ordinary one",
        )
    return UnreadableImage("corrupt", f"is a damaged {name} ({detail or type(error).__name__})")


def _has_open_tiff_directory(data: bytes) -> bool:
    """Whether a TIFF's first directory, or what one of its tags refers to, is behind the end.

    False for a BigTIFF, whose layout differs.
    """
    if 43 in data[2:4]:
        return False
    order: _Order = "little" if data.startswith(b"II") else "big"
    at = int.from_bytes(data[4:8], order)
    end = at + 2 + 12 * int.from_bytes(data[at : at + 2], order)
    if at >= len(data) or end > len(data):
        return True
    for entry in range(at + 2, end, 12):
        kind, count, offset = (
            int.from_bytes(data[entry + start : entry + stop], order)
            for start, stop in ((2, 4), (4, 8), (8, 12))
        )
        size = count * _TIFF_TYPE_BYTES.get(kind, 1)
        if size > 4 and offset + size > len(data):
            return True
    return False


def _has_open_box(data: bytes) -> bool:
    """Whether the last top-level box of an ISO media file ends behind the file's end."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:
            # Zero: to the end of the file; less is no box.
            return False
        at += size
    return at != len(data)


# By format: whether the end that it promises is missing.
_IS_CUT_OFF: dict[str, Callable[[bytes], bool]] = {
    "jpeg": lambda data: b"\xff\xd9" not in data,
    "png": lambda data: b"IEND" not in data,
    "gif": lambda data: not data.endswith(b";"),
    "webp": lambda data: int.from_bytes(data[4:8], "little") + 8 > len(data),
    "bmp": lambda data: int.from_bytes(data[2:6], "little") > len(data),
    "tiff": _has_open_tiff_directory,
    "avif": _has_open_box,
    "heif": _has_open_box,
    "raw": lambda _: False,
}
