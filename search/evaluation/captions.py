"""Captions of pictures, as people keep them: TSV, CSV or JSON Lines.

A row names a picture and what is said of it, and in which language if that is known:

    path          language  caption
    2024/a.jpg    vi        con mèo trên bàn

In JSON Lines a caption may be a list of several, and a row may hold captions by language, as in
Crossmodal-3600 (Thapliyal et al., 2022): {"image/key": "a1", "vi": {"caption": ["…"]}, …}.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import SearchError

PICTURE_COLUMNS = ("path", "file_name", "filename", "file", "image", "image/key")
CAPTION_COLUMNS = ("caption", "captions", "text", "query")
LANGUAGE_COLUMNS = ("language", "lang", "locale")
DELIMITERS = {".tsv": "\t", ".csv": ","}
JSON_LINES = (".jsonl", ".ndjson")


class CaptionsUnreadable(SearchError):
    """A file of captions can't be used; names the file, the line and what would do."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        where = f"{path}, line {line}" if line else str(path)
        super().__init__(f"{where}: {reason}")


@dataclass(frozen=True)
class Caption:
    picture: str
    """Its path, or the end of it; the name alone will do, and without a suffix too."""
    text: str
    language: str | None


def read_captions(path: Path) -> list[Caption]:
    """In the order of the file, which says by its suffix what it is. Raises CaptionsUnreadable."""
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        rows = _table_rows(path, DELIMITERS[suffix])
    elif suffix in JSON_LINES:
        rows = _json_rows(path)
    else:
        raise CaptionsUnreadable(path, None, "captions come in .tsv, .csv or .jsonl files")
    try:
        captions = [caption for line, row in rows for caption in _captions_of(path, line, row)]
    except OSError as error:
        raise CaptionsUnreadable(path, None, f"{error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CaptionsUnreadable(path, None, "is no UTF-8 text; save it as UTF-8.") from error
    if not captions:
        raise CaptionsUnreadable(path, None, "holds no captions.")
    return captions


def _table_rows(path: Path, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if delimiter == "\t":  # where a quotation mark is a character like others
            reader = csv.DictReader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        else:
            reader = csv.DictReader(file, delimiter=delimiter)
        columns = reader.fieldnames or []
        for wanted in (PICTURE_COLUMNS, CAPTION_COLUMNS):
            if _first(dict.fromkeys(columns, True), wanted) is None:
                reason = f"the first line must name a column {wanted[0]!r}; it names {columns}"
                raise CaptionsUnreadable(path, 1, reason)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise CaptionsUnreadable(path, reader.line_num, f"{error}.") from error


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise CaptionsUnreadable(path, number, f"is no JSON: {error}.") from error
            if not isinstance(row, dict):
                raise CaptionsUnreadable(path, number, 'must be an object: {"path": …}')
            yield number, row


def _captions_of(path: Path, line: int, row: Mapping[str, Any]) -> Iterator[Caption]:
    picture = _first(row, PICTURE_COLUMNS)
    if not isinstance(picture, str) or not picture.strip():
        raise CaptionsUnreadable(path, line, "doesn't say which picture it is of.")
    language = _first(row, LANGUAGE_COLUMNS)
    texts = _first(row, CAPTION_COLUMNS)
    said = [(language, texts)] if texts is not None else _by_language(row)
    found = False
    for tag, some in said:
        for text in [some] if isinstance(some, str) else some:
            if isinstance(text, str) and text.strip():
                found = True
                yield Caption(picture.strip(), " ".join(text.split()), tag or None)
    if not found:
        raise CaptionsUnreadable(path, line, f"has no caption of {picture!r}.")


def _by_language(row: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    for tag, value in row.items():
        texts = value.get("caption") if isinstance(value, dict) else None
        if texts is not None:
            yield tag, texts if isinstance(texts, list) else [texts]


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name)), None)
