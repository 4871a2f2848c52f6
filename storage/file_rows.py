"""The rows of indexed files, put within a writer's transaction: a few statements for a batch."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, String, bindparam, delete, insert, select, type_coerce, update

from storage.catalog.column_types import path_to_text
from storage.catalog.schema import Failure, Location
from storage.records import FileStat, IndexedFile, PictureText
from storage.words.word_rows import add_texts, drop_sidecar_texts, sidecar_source, sql_chunks

Place = tuple[int, str]
"""Root, and the path as it is stored."""


@dataclass(frozen=True)
class _Row:
    """What the catalog has of a file."""

    id: int
    image_id: int


@dataclass(frozen=True)
class _Put:
    file: IndexedFile
    image_id: int
    before: _Row | None
    """The row that becomes the file's: of its place, else of the one that it was moved from."""

    @property
    def place(self) -> Place:
        return _place(self.file.stat)


def put_files(connection: Connection, files: Sequence[tuple[IndexedFile, int]]) -> set[int]:
    """Each with the id of the image that it holds; later ones win over earlier ones.

    Returns the images that may have gained or lost a file, or words.
    """
    touched: set[int] = set()
    while files:
        puts, files = _independent(connection, files)
        touched.update(put.image_id for put in puts)
        touched.update(put.before.image_id for put in puts if put.before is not None)
        _put_locations(connection, puts)
        _put_sidecar_texts(connection, puts)
        for root_id, paths in _by_root(put.file.stat for put in puts).items():
            for chunk in sql_chunks(paths):
                here = (Failure.root_id == root_id) & Failure.path.in_(chunk)
                connection.execute(delete(Failure).where(here))
    return touched


def _independent(
    connection: Connection, files: Sequence[tuple[IndexedFile, int]]
) -> tuple[list[_Put], Sequence[tuple[IndexedFile, int]]]:
    """The files up to the first that has its place or its row in common with one before it, which
    in practice are all, and the rest: what is put for those changes what there is for these."""
    here = _rows_at(connection, [file.stat for file, _ in files])
    elsewhere = _rows_of(
        connection,
        [
            file.moved_from
            for file, _ in files
            if file.moved_from is not None and _place(file.stat) not in here
        ],
    )
    puts: list[_Put] = []
    places: set[Place] = set()
    rows: set[int] = set()
    for file, image_id in files:
        place = _place(file.stat)
        before = here.get(place) or elsewhere.get(file.moved_from or 0)
        if place in places or (before is not None and before.id in rows):
            break
        puts.append(_Put(file, image_id, before))
        places.add(place)
        if before is not None:
            rows.add(before.id)
    return puts, files[len(puts) :]


def _put_locations(connection: Connection, puts: Sequence[_Put]) -> None:
    new = [_values(put) for put in puts if put.before is None]
    if new:
        connection.execute(insert(Location), new)
    known = [{"row_id": put.before.id, **_values(put)} for put in puts if put.before is not None]
    if known:
        change = update(Location).where(Location.id == bindparam("row_id"))
        names = known[0].keys() - {"row_id"}
        connection.execute(change.values({name: bindparam(name) for name in names}), known)


def _values(put: _Put) -> dict[str, Any]:
    stat = put.file.stat
    return {
        "image_id": put.image_id,
        "root_id": stat.root_id,
        "path": stat.path,
        "collection_id": put.file.collection_id,
        "size_bytes": stat.size_bytes,
        "mtime_ns": stat.mtime_ns,
        "sidecar_mtime_ns": stat.sidecar_mtime_ns,
    }


def _put_sidecar_texts(connection: Connection, puts: Sequence[_Put]) -> None:
    """What stood beside the files gives way to what stands there now."""
    befores = [put.before for put in puts if put.before is not None]
    drop_sidecar_texts(connection, {row.id: row.image_id for row in befores})
    worded = [put for put in puts if put.file.texts]
    if not worded:
        return
    rows = _rows_at(connection, [put.file.stat for put in worded])
    drop_sidecar_texts(connection, {row.id: row.image_id for row in rows.values()})
    texts: dict[int, list[PictureText]] = defaultdict(list)
    for put in worded:
        source = sidecar_source(rows[put.place].id)
        texts[put.image_id] += [replace(each, source=source) for each in put.file.texts]
    add_texts(connection, texts)


def _place(stat: FileStat) -> Place:
    return stat.root_id, path_to_text(stat.path)


def _rows_at(connection: Connection, stats: Iterable[FileStat]) -> Mapping[Place, _Row]:
    found: dict[Place, _Row] = {}
    stored = type_coerce(Location.path, String).label("stored")
    for root_id, paths in _by_root(stats).items():
        for chunk in sql_chunks(paths):
            rows = connection.execute(
                select(Location.id, Location.image_id, stored).where(
                    Location.root_id == root_id, Location.path.in_(chunk)
                )
            )
            found.update(((root_id, row.stored), _Row(row.id, row.image_id)) for row in rows)
    return found


def _by_root(stats: Iterable[FileStat]) -> Mapping[int, list[str]]:
    paths: dict[int, list[str]] = defaultdict(list)
    for stat in stats:
        paths[stat.root_id].append(stat.path)
    return paths


def _rows_of(connection: Connection, location_ids: Sequence[int]) -> Mapping[int, _Row]:
    found: dict[int, _Row] = {}
    for chunk in sql_chunks(location_ids):
        rows = connection.execute(
            select(Location.id, Location.image_id).where(Location.id.in_(chunk))
        )
        found.update((row.id, _Row(row.id, row.image_id)) for row in rows)
    return found
