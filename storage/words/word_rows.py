"""The full-text table `picture_words`, kept in step with the catalog.

It has a row for every picture that a file holds: rowid is the image's id, `words` what came with
the picture (`image_text`), `names` the names of its files and of the folders below their roots.
Both are folded and set apart by spaces (`storage/words/folding.py`) before they go in. Its tokens
are trigrams, spaces included, so that any run of whole words is found by the index itself, words of
one Chinese character too.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    String,
    cast,
    column,
    delete,
    exists,
    insert,
    literal,
    select,
    table,
    text,
)
from sqlalchemy.exc import DatabaseError, OperationalError

from storage.catalog.schema import Image, ImageText, Location
from storage.records import PictureText
from storage.words.folding import spaced_words

T = TypeVar("T")

SQL_CHUNK = 500
"""Values in one IN (…); SQLite allows 32,766 variables, PostgreSQL 65,535."""


def sql_chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), SQL_CHUNK):
        yield values[start : start + SQL_CHUNK]


EMBEDDED_SOURCES = ("exif", "iptc", "xmp")
"""Sources that lie in the picture's own file."""

_PICTURE_WORDS = table("picture_words", column("rowid"), column("names"), column("words"))
_ROWID, _NAMES, _WORDS = _PICTURE_WORDS.c.rowid, _PICTURE_WORDS.c.names, _PICTURE_WORDS.c.words

_BETWEEN = " \x03 "
"""Between two texts, so that no run of words is found across them."""

_SUFFIX = re.compile(r"(?<=.)\.[A-Za-z0-9]{1,5}$")
_INSIDE_NAME = re.compile(
    r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)  # HaNoi2024 → Ha Noi 2024


def sidecar_source(location_id: int) -> str:
    """How the catalog names the sidecars of one file: they go when it goes."""
    return f"sidecar:{location_id}"


def replace_texts(
    connection: Connection, texts: Mapping[int, Iterable[PictureText]], sources: Collection[str]
) -> None:
    """Replace what images, by their ids, have of `sources`. `refresh_words` is to follow."""
    for chunk in sql_chunks(list(texts)):
        connection.execute(
            delete(ImageText).where(ImageText.image_id.in_(chunk), ImageText.source.in_(sources))
        )
    add_texts(connection, texts)


def add_texts(connection: Connection, texts: Mapping[int, Iterable[PictureText]]) -> None:
    """By the ids of their images. `refresh_words` is to follow."""
    rows = [
        {
            "image_id": image_id,
            "kind": each.kind,
            "source": each.source,
            "language": each.language,
            "text": each.text,
        }
        for image_id, its_texts in texts.items()
        for each in dict.fromkeys(its_texts)
    ]
    if rows:
        connection.execute(insert(ImageText), rows)


def drop_sidecar_texts(connection: Connection, located: Mapping[int, int]) -> None:
    """Forget what stands beside files (location id → image id). `refresh_words` is to follow."""
    for chunk in sql_chunks(list(located)):
        connection.execute(
            delete(ImageText).where(
                ImageText.image_id.in_([located[location_id] for location_id in chunk]),
                ImageText.source.in_(map(sidecar_source, chunk)),
            )
        )


def stored_texts(connection: Connection, image_ids: Sequence[int]) -> dict[int, list[PictureText]]:
    found: dict[int, list[PictureText]] = defaultdict(list)
    for chunk in sql_chunks([int(image_id) for image_id in image_ids]):
        query = select(ImageText).where(ImageText.image_id.in_(chunk)).order_by(ImageText.id)
        for row in connection.execute(query):
            source = row.source.split(":")[0]
            found[row.image_id].append(PictureText(row.kind, row.text, source, row.language))
    return found


def file_paths(connection: Connection, image_ids: Sequence[int]) -> dict[int, list[str]]:
    paths: dict[int, list[str]] = defaultdict(list)
    for chunk in sql_chunks([int(image_id) for image_id in image_ids]):
        query = (
            select(Location.image_id, Location.path)
            .where(Location.image_id.in_(chunk))
            .order_by(Location.id)
        )
        for row in connection.execute(query):
            paths[row.image_id].append(row.path)
    return paths


def refresh_words(connection: Connection, image_ids: Iterable[int]) -> None:
    """Keep the full-text rows of these images in step with their texts and files, within the
    caller's transaction. An image that no file holds has no row."""
    for chunk in sql_chunks(sorted({int(image_id) for image_id in image_ids})):
        wanted = _wanted_rows(connection, chunk)
        there = stored_rows(connection, chunk)
        stale = [image_id for image_id in there if there[image_id] != wanted.get(image_id)]
        if stale:
            connection.execute(delete(_PICTURE_WORDS).where(_ROWID.in_(stale)))
        new = [
            {"rowid": image_id, "names": names, "words": words}
            for image_id, (names, words) in wanted.items()
            if there.get(image_id) != (names, words)
        ]
        if new:
            connection.execute(insert(_PICTURE_WORDS), new)


def stored_rows(connection: Connection, image_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Image id → (names, words) as they are in the table."""
    found: dict[int, tuple[str, str]] = {}
    for chunk in sql_chunks(image_ids):
        rows = connection.execute(select(_ROWID, _NAMES, _WORDS).where(_ROWID.in_(chunk)))
        found.update((row.rowid, (row.names, row.words)) for row in rows)
    return found


def _wanted_rows(connection: Connection, image_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Image id → (names, words), for those that a file holds."""
    texts = stored_texts(connection, image_ids)
    return {
        image_id: (_joined(name_words(paths)), _joined(_text_words(texts.get(image_id, ()))))
        for image_id, paths in file_paths(connection, image_ids).items()
    }


def name_words(paths: Iterable[str]) -> list[str]:
    """The names of files without their suffixes, and of the folders around them; a name in which
    words run together also with these apart."""
    names: list[str] = []
    for path in paths:
        *folders, file_name = path.split("/")
        for name in (*folders, _SUFFIX.sub("", file_name)):
            names.append(spaced_words(name))
            names.append(spaced_words(_INSIDE_NAME.sub(" ", name)))
    return list(dict.fromkeys(names))


def _text_words(texts: Iterable[PictureText]) -> list[str]:
    return list(dict.fromkeys(spaced_words(each.text) for each in texts))


def _joined(words: Iterable[str]) -> str:
    """ " red car \\x03 sky ": a space at either end of every word."""
    joined = _BETWEEN.join(filter(None, words))
    return f" {joined} " if joined else ""


def complete_words(engine: Engine) -> None:
    """Bring in pictures that have no row yet: those of a library older than the table."""
    # The table of sizes is FTS5's own, and a tenth of the one that holds the texts.
    without_row = text("image.id NOT IN (SELECT id FROM picture_words_docsize)")
    with engine.connect() as connection:
        without = list(
            connection.execute(
                select(Image.id).where(Image.deleted_at.is_(None), without_row)
            ).scalars()
        )
    if without:
        with engine.begin() as connection:
            refresh_words(connection, without)


def rebuild_words(engine: Engine) -> None:
    """Make the whole table anew from the catalog, in one transaction."""
    with engine.begin() as connection:
        # First from what the table itself holds, so that rows can be taken out of it again.
        connection.execute(text("INSERT INTO picture_words(picture_words) VALUES ('rebuild')"))
        connection.execute(delete(ImageText).where(_STRAY))
        refresh_words(connection, _all_ids(connection))


_STRAY = ImageText.source.like("sidecar:%") & ~exists().where(
    Location.image_id == ImageText.image_id,
    ImageText.source == literal("sidecar:") + cast(Location.id, String),
)
"""Texts of a sidecar that stands beside no file of the picture any more."""


def count_stale_words(engine: Engine) -> int:
    """Pictures whose full-text row is not what the catalog says, or that have the words of a
    sidecar whose file is gone. Reads all of both."""
    with engine.connect() as connection:
        strays = select(ImageText.image_id).where(_STRAY).distinct()
        stale = set(connection.execute(strays).scalars())
        for chunk in sql_chunks(_all_ids(connection)):
            wanted, there = _wanted_rows(connection, chunk), stored_rows(connection, chunk)
            stale.update(each for each in chunk if wanted.get(each) != there.get(each))
    return len(stale)


def words_are_damaged(engine: Engine) -> bool:
    """Whether the index of the table is not that of what the table holds. False where it can't be
    told because the catalog can't be written: FTS5 asks for the right to, though it writes
    nothing."""
    try:
        with engine.connect() as connection:  # rolled back at its end
            connection.execute(
                text("INSERT INTO picture_words(picture_words) VALUES ('integrity-check')")
            )
    except OperationalError:
        return False
    except DatabaseError:
        return True
    return False


def _all_ids(connection: Connection) -> list[int]:
    """Of images, and of rows that may have outlived theirs."""
    either = select(Image.id).union(select(_ROWID)).subquery()
    return list(connection.execute(select(either).order_by(*either.c)).scalars())
