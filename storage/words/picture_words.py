"""Pictures by their words: captions, titles, keywords, and the names of files and folders.

What is searched is kept by `storage/words/word_rows.py`; whoever changes texts or files calls
`refresh_words` in the same transaction.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from storage.ascending import are_among
from storage.records import PictureText
from storage.words.folding import fold, spaced_words
from storage.words.word_rows import (
    EMBEDDED_SOURCES,
    rebuild_words,
    refresh_words,
    replace_texts,
    sidecar_source,
    stored_rows,
    stored_texts,
)

__all__ = [
    "EMBEDDED_SOURCES",
    "WordMatch",
    "fold",
    "matching_ids",
    "matching_words",
    "rebuild_words",
    "refresh_words",
    "replace_texts",
    "sidecar_source",
    "texts_of",
]


def texts_of(engine: Engine, image_ids: Sequence[int]) -> dict[int, list[PictureText]]:
    """What came with each picture, each text once; pictures without any are left out."""
    with engine.connect() as connection:
        found = stored_texts(connection, image_ids)
    return {image_id: list(dict.fromkeys(texts)) for image_id, texts in found.items()}


@dataclass(frozen=True)
class WordMatch:
    """A picture whose words are those of a query."""

    image_id: int
    matched: tuple[str, ...]
    """Where they were found, in this order: title, caption, keyword, description, name."""


def matching_words(
    engine: Engine, query: str, limit: int, allowed: NDArray[np.int64] | None = None
) -> list[WordMatch]:
    """Pictures that have all words of `query` in their texts or names, best first.

    Words in double quotes must stand side by side. Whatever else is in the query, nothing in it
    is syntax. A word of four letters and more is also found where a longer one begins with it.

    allowed: ascending ids of the pictures that may be found; all by default.
    """
    runs = _runs_of(query)
    if not runs or limit <= 0:
        return []
    if allowed is not None and len(allowed) > MOST_RANKED:  # which SQLite would take long to read
        matching = matching_ids(engine, query)
        allowed = matching[are_among(matching, allowed)][:MOST_RANKED]
    conditions = {
        "match": " AND ".join(map(_expression, runs)),
        "allowed": None if allowed is None else json.dumps(allowed.tolist()),
        "most": MOST_RANKED,
        "limit": limit,
    }
    with engine.connect() as connection:
        best = connection.execute(_MATCHING, conditions).scalars().all()
        texts, rows = stored_texts(connection, best), stored_rows(connection, best)
    return [
        WordMatch(image_id, _matched(runs, texts.get(image_id, ()), rows[image_id][0]))
        for image_id in best
        if image_id in rows
    ]


def matching_ids(engine: Engine, query: str) -> NDArray[np.int64]:
    """Ids of all pictures that have all words of `query`, ascending."""
    runs = _runs_of(query)
    if not runs:
        return np.empty(0, dtype=np.int64)
    wanted = {"match": " AND ".join(map(_expression, runs))}
    with engine.connect() as connection:
        found = connection.execute(_ALL_MATCHING, wanted).scalars()
        return np.sort(np.fromiter(found, dtype=np.int64))


_ALL_MATCHING = text("SELECT rowid FROM picture_words WHERE picture_words MATCH :match")

MOST_RANKED = 20_000
"""Among this many pictures the best are chosen; words that more of them have say little."""

_IN_TEXTS, _IN_NAMES = 10.0, 1.0
"""Weights of a match: what a person wrote about a picture says more than how its file is called."""

# The plus sign keeps SQLite from looking each id up for itself.
_MATCHING = text(f"""
    SELECT rowid FROM (
        SELECT rowid, bm25(picture_words, {_IN_NAMES}, {_IN_TEXTS}) AS badness
        FROM picture_words
        WHERE picture_words MATCH :match
            AND (:allowed IS NULL OR +rowid IN (SELECT value FROM json_each(:allowed)))
        LIMIT :most)
    ORDER BY badness, rowid LIMIT :limit
""")  # noqa: S608

_QUOTED = re.compile(r'"([^"]*)"?|“([^”]*)”?|«([^»]*)»?|「([^」]*)」?|([^\s"“«「]+)')
_MOST_RUNS = 64
_MIN_BEGINNING = 4


@dataclass(frozen=True)
class _Run:
    """Words that must stand side by side."""

    words: str
    """Folded, spaced, without a space at either end."""
    is_beginning: bool
    """The last of them may be the beginning of a longer one."""

    @property
    def sought(self) -> str:
        return f" {self.words}" if self.is_beginning else f" {self.words} "


def _runs_of(query: str) -> list[_Run]:
    runs = []
    for match in _QUOTED.finditer(query):
        quoted = match[5] is None
        words = spaced_words(next(filter(None, match.groups()), ""))
        last = words.split()[-1:]
        long = bool(last) and len(last[0]) >= _MIN_BEGINNING and not last[0].isdecimal()
        if words:
            runs.append(_Run(words, is_beginning=long and not quoted))
    return list(dict.fromkeys(runs))[:_MOST_RUNS]


def _expression(run: _Run) -> str:
    """In the language of FTS5. Spaced words hold no quotes: they are no letters."""
    return f'(" {run.words} " OR "{run.sought}")' if run.is_beginning else f'"{run.sought}"'


def _matched(runs: Sequence[_Run], texts: Iterable[PictureText], names: str) -> tuple[str, ...]:
    """names: as the table has them."""
    found = {each.kind for each in texts if _holds_any(runs, f" {spaced_words(each.text)} ")}
    if _holds_any(runs, names):
        found.add("name")
    return tuple(kind for kind in _KINDS if kind in found)


_KINDS = ("title", "caption", "keyword", "description", "name")


def _holds_any(runs: Sequence[_Run], words: str) -> bool:
    return any(run.sought in words for run in runs)
