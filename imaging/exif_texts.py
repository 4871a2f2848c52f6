"""EXIF's texts, in the many ways that cameras and Windows encode them."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from PIL import ExifTags

from imaging.packets import or_none
from imaging.texts import FactText

_WINDOWS_KINDS = {
    ExifTags.Base.XPTitle: "title",
    ExifTags.Base.XPSubject: "description",
    ExifTags.Base.XPComment: "description",
    ExifTags.Base.XPKeywords: "keyword",
}
_COMMENT_CODES = {b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp"}
_CODE_BYTES = 8


def read_exif_texts(main: Mapping[int, Any], details: Mapping[int, Any]) -> Iterator[FactText]:
    """Titles, descriptions and keywords of the main directory and of the Exif one."""
    described = or_none(lambda: exif_text(main.get(ExifTags.Base.ImageDescription)))
    yield FactText("description", described or "", "exif")
    for tag, kind in _WINDOWS_KINDS.items():
        text = or_none(partial(_windows_text, main, tag)) or ""
        for part in re.split("[;\0]", text) if kind == "keyword" else [text]:
            yield FactText(kind, part, "exif")
    comment = or_none(lambda: _comment(details.get(ExifTags.Base.UserComment)))
    yield FactText("description", comment or "", "exif")


def exif_text(value: Any) -> str:
    """EXIF's ASCII; UTF-8 where a camera wrote that for it."""
    if isinstance(value, str):
        value = value.encode("latin-1")
    if not isinstance(value, bytes):
        return ""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _windows_text(main: Mapping[int, Any], tag: int) -> str:
    value = main.get(tag)
    data = bytes(value) if isinstance(value, bytes | tuple) else b""
    return data.decode("utf-16-le", "replace").rstrip("\0")


def _comment(value: Any) -> str:
    """UserComment: eight bytes name the encoding, if they do."""
    if isinstance(value, str):
        value = value.encode("latin-1")
    if not isinstance(value, bytes):
        return ""
    code, data = value[:_CODE_BYTES], value[_CODE_BYTES:]
    encoding = _COMMENT_CODES.get(code)
    if encoding == "utf-16":
        return _utf_16(data)
    if encoding is not None:
        return data.decode(encoding, "replace")
    return exif_text(data if code in {b"ASCII\0\0\0", bytes(_CODE_BYTES)} else value)


def _utf_16(data: bytes) -> str:
    """In the byte order of its mark, else in the one that makes more letters of usual scripts:
    programs follow the file's own order, or do not."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    orders = (data.decode("utf-16-be", "replace"), data.decode("utf-16-le", "replace"))
    return max(orders, key=lambda text: len(_USUAL.findall(text)))


_USUAL = re.compile(
    "[\t\n\r -\u024f\u0370-\u06ff\u0900-\u0eff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]"
)
