"""Words that stand beside a picture's file: captions that other programs wrote.

For `a.jpg` they are in `a.jpg.txt`, `a.txt`, `a.jpg.json`, `a.json`, `a.jpg.xmp` and `a.xmp`: plain
text, the JSON of img2dataset and of Google's Takeout, a plain JSON of one's own, and XMP.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

from imaging import PICTURE_SUFFIXES, FactText, cleaned_texts, read_xmp
from storage.records import PictureText

MAX_SIDECAR_BYTES = 1024 * 1024

_SUFFIXES = (".txt", ".json", ".xmp", ".supplemental-metadata.json")
_JSON_TEXTS = {"caption": "caption", "title": "title", "description": "description"}
_JSON_KEYWORDS = ("keywords", "tags")
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")

_log = logging.getLogger(__name__)


class _NotUnderstood(Exception):
    """Why a sidecar says nothing to us."""


def sidecar_names(file_name: str) -> tuple[str, ...]:
    """What the sidecars of a file may be called: names only, without a folder."""
    stem = PurePosixPath(file_name).stem
    names = (name + suffix for suffix in _SUFFIXES for name in (file_name, stem))
    return tuple(name for name in dict.fromkeys(names) if name != file_name)


def read_sidecars(file_name: str, load: Callable[[str], bytes | None]) -> tuple[PictureText, ...]:
    """The words in the sidecars of a file, each once.

    load: the bytes of a sidecar by its name (more than MAX_SIDECAR_BYTES + 1 need not be read),
    None where there is none. One that can't be understood is logged and passed over.
    """
    texts: list[FactText] = []
    for name in sidecar_names(file_name):
        data = load(name)
        if data is None:
            continue
        try:
            texts += _texts_in(name, data, file_name)
        except _NotUnderstood as error:
            _log.warning("The sidecar %r of %r is passed over: it %s.", name, file_name, error)
    return tuple(
        PictureText(each.kind, each.text, "sidecar", each.language) for each in cleaned_texts(texts)
    )


def _texts_in(name: str, data: bytes, file_name: str) -> list[FactText]:
    if len(data) > MAX_SIDECAR_BYTES:
        raise _NotUnderstood(f"has more than {MAX_SIDECAR_BYTES:,} bytes")
    if name.endswith(".xmp"):
        xmp = read_xmp(data)
        if xmp is None:
            raise _NotUnderstood("is no XMP")
        return list(xmp.texts)
    text = _decoded(data)
    if name.endswith(".txt"):
        return [FactText("caption", text, "sidecar")]
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _NotUnderstood(f"is no JSON ({error})") from error
    # A list, as some programs write one, is no record of one picture.
    if not isinstance(record, dict):
        raise _NotUnderstood("is no JSON object")
    return list(_json_texts(record, file_name))


def _json_texts(record: dict[str, Any], file_name: str) -> Iterator[FactText]:
    language = record.get("language")
    if not isinstance(language, str) or not _LANGUAGE_TAG.fullmatch(language):
        language = None
    for key, kind in _JSON_TEXTS.items():
        for text in _strings(record.get(key)):
            if not _is_file_name(text):
                yield FactText(kind, text, "sidecar", language)
    for key in _JSON_KEYWORDS:
        found = record.get(key)
        words = re.split(r"[,;]", found) if isinstance(found, str) else _strings(found)
        for word in words:
            yield FactText("keyword", word, "sidecar", language)
    people = record.get("people")
    for person in people if isinstance(people, list) else []:
        if isinstance(person, dict):
            for each in _strings(person.get("name")):
                yield FactText("keyword", each, "sidecar")


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _is_file_name(text: str) -> bool:
    """Takeout's title is what the file was called when it was uploaded."""
    return PurePosixPath(text).suffix.lower() in PICTURE_SUFFIXES


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        text = next(filter(None, (_strictly(data, name) for name in _ENCODINGS)), "")
    if "\0" in text:
        raise _NotUnderstood("is no text")
    return text


# GB 2312 before Western European: its letters are pairs of bytes that a text with accents hardly
# ever is made of from end to end.
_ENCODINGS = ("utf-8-sig", "gb2312", "cp1252", "latin-1")


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
