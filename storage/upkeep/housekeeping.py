"""What people do with a library by hand: rename collections, forget pictures, move roots."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, or_, select, update

from storage.catalog.schema import Collection, Counter, Failure, Location, Root
from storage.errors import LibraryError
from storage.files import list_roots
from storage.library import Library
from storage.lock import writer_lock
from storage.records import RootRecord
from storage.sources.containers import split_location
from storage.writer import SQL_CHUNK

SAMPLE_FILES = 100
"""Looked for at the new place before a root is moved."""

ENOUGH = 0.5
"""Share of the sample that must be there: some files may have been deleted meanwhile."""


class HousekeepingError(LibraryError):
    """What was asked can't be done; the message says why and what can."""


@dataclass(frozen=True)
class CollectionSize:
    name: str
    pictures: int
    files: int


@dataclass(frozen=True)
class Choice:
    """Which files are meant: a collection's, and those at or below absolute paths."""

    collection: str | None = None
    paths: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Forgettable:
    """What `forget` drops."""

    located: dict[int, int]
    """Location id → image id."""
    failures: set[tuple[int, str]]
    """(root id, path) of files that could not be indexed."""
    pictures: int
    """Those that no other file holds: no search will find them."""

    def __bool__(self) -> bool:
        return bool(self.located or self.failures)


@dataclass(frozen=True)
class Move:
    """A root and the folder it is to be."""

    root: RootRecord
    new: Path


@dataclass(frozen=True)
class Sampled:
    looked_for: int
    there: int
    first_missing: Path | None

    @property
    def is_enough(self) -> bool:
        return self.there >= ENOUGH * self.looked_for


def list_collections(engine: Engine) -> list[CollectionSize]:
    """All of them, the empty ones too, by name."""
    query = (
        select(Collection.name, func.count(Location.image_id.distinct()), func.count(Location.id))
        .join(Location, Location.collection_id == Collection.id, isouter=True)
        .group_by(Collection.id, Collection.name)
        .order_by(Collection.name)
    )
    with engine.connect() as connection:
        return [CollectionSize(row[0], row[1], row[2]) for row in connection.execute(query)]


def rename_collection(library: Library, old: str, new: str) -> None:
    """Raises HousekeepingError; LibraryBusy."""
    if not new.strip():
        raise HousekeepingError("A collection needs a name that is not empty.")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in new):  # how Python shows such bytes
        raise HousekeepingError(f"The name {new!r} is no UTF-8 text; give another.")
    with writer_lock(library.data_dir, "collections rename"):
        require_collection(library.engine, old)
        if new != old and new in {each.name for each in list_collections(library.engine)}:
            raise HousekeepingError(
                f"There is a collection {new!r} already, and two can't be told apart again once "
                f"they are one. To join them all the same, index the pictures of {old!r} again "
                f"with --collection {new!r}."
            )
        with library.engine.begin() as connection:
            connection.execute(update(Collection).where(Collection.name == old).values(name=new))
            _count_commit(connection)


def require_collection(engine: Engine, name: str) -> None:
    """Raises HousekeepingError, with the nearest name, when there is no such collection."""
    names = [each.name for each in list_collections(engine)]
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise HousekeepingError(f"There is no collection {name!r}.{hint}")


def forgettable(engine: Engine, choice: Choice) -> Forgettable:
    """What the library knows of a choice, whether the files still exist or not. Raises
    HousekeepingError for a collection, or a path, that it knows nothing of."""
    found = Forgettable({}, set(), 0)
    if choice.collection is not None:
        require_collection(engine, choice.collection)
        wanted = select(Collection.id).where(Collection.name == choice.collection)
        found.located.update(_located(engine, Location.collection_id.in_(wanted)))
    for path in choice.paths:
        here = _at_or_below(engine, path)
        if not here:
            raise HousekeepingError(
                f"{path}: the library knows no picture there. {_roots_in_words(engine)}"
            )
        found.located.update(here.located)
        found.failures.update(here.failures)
    lost = set(found.located.values()) - _held_elsewhere(engine, found.located)
    return replace(found, pictures=len(lost))


def _at_or_below(engine: Engine, path: Path) -> Forgettable:
    found = Forgettable({}, set(), 0)
    for root in list_roots(engine):
        if path == root.path or path in root.path.parents:
            inside = ""
        elif root.path in path.parents:
            inside = path.relative_to(root.path).as_posix()
        else:
            continue
        found.located.update(_located(engine, _inside(Location, root.id, inside)))
        with engine.connect() as connection:
            query = select(Failure.path).where(_inside(Failure, root.id, inside))
            failed = connection.execute(query).scalars()
            found.failures.update((root.id, failed_path) for failed_path in failed)
    return found


def _inside(
    table: type[Location] | type[Failure], root_id: int, inside: str
) -> ColumnElement[bool]:
    """inside: a file's or a folder's path below the root; "" for all of it."""
    if not inside:
        return table.root_id == root_id
    # "0" is what comes after "/".
    below = and_(table.path >= f"{inside}/", table.path < f"{inside}0")
    return and_(table.root_id == root_id, or_(table.path == inside, below))


def _located(engine: Engine, condition: ColumnElement[bool]) -> dict[int, int]:
    query = select(Location.id, Location.image_id).where(condition)
    with engine.connect() as connection:
        return {row.id: row.image_id for row in connection.execute(query)}


def _held_elsewhere(engine: Engine, located: Mapping[int, int]) -> set[int]:
    """The images of `located` that a file outside of it holds too."""
    held: set[int] = set()
    images = sorted(set(located.values()))
    with engine.connect() as connection:
        for start in range(0, len(images), SQL_CHUNK):
            chunk = images[start : start + SQL_CHUNK]
            query = select(Location.id, Location.image_id).where(Location.image_id.in_(chunk))
            held.update(r.image_id for r in connection.execute(query) if r.id not in located)
    return held


def _roots_in_words(engine: Engine) -> str:
    roots = [str(root.path) for root in list_roots(engine)]
    return f"It has pictures below: {', '.join(roots)}." if roots else "It has no pictures at all."


def forget(library: Library, choice: Choice) -> Forgettable:
    """Mask the pictures at once; the next index generation drops their embeddings. Roots and
    collections that are left with nothing go too. Raises HousekeepingError; LibraryBusy."""
    space = library.active_space()
    if space is None:
        raise HousekeepingError(f"The library in {library.data_dir} is empty already.")
    with library.writer("remove", space) as writer:
        chosen = forgettable(library.engine, choice)  # anew: nothing can change any more
        writer.forget(chosen.located)
        for root_id in {root_id for root_id, _ in chosen.failures}:
            paths = [path for of_root, path in chosen.failures if of_root == root_id]
            writer.forget_failures(root_id, paths)
        with library.engine.begin() as connection:
            _drop_empty(connection)
            _count_commit(connection)
    return chosen


def _drop_empty(connection: Connection) -> None:
    connection.execute(
        delete(Root).where(
            Root.id.not_in(select(Location.root_id)), Root.id.not_in(select(Failure.root_id))
        )
    )
    connection.execute(
        delete(Collection).where(
            Collection.id.not_in(select(Location.collection_id)),
            Collection.id.not_in(select(Root.collection_id)),
        )
    )


def plan_moves(engine: Engine, old: Path, new: Path) -> list[Move]:
    """The roots at or below `old` and the folders they are to be. Absolute paths. Raises
    HousekeepingError when there are none, or when roots would come to lie in one another."""
    roots = list_roots(engine)
    moves = [
        Move(root, new / root.path.relative_to(old))
        for root in roots
        if root.path == old or old in root.path.parents
    ]
    if not moves:
        around = next((root.path for root in roots if root.path in old.parents), None)
        if around is not None:
            raise HousekeepingError(
                f"{old} is a part of the root {around}, and roots move as a whole. Index the "
                f"new place instead (polyglance index {new}): files that moved are recognised by "
                "their content, and nothing is embedded again."
            )
        raise HousekeepingError(f"{old} is no folder that was indexed. {_roots_in_words(engine)}")
    moved = {move.root.id for move in moves}
    for root in roots:
        if root.id in moved:
            continue
        for move in moves:
            if _nested(root.path, move.new):
                raise HousekeepingError(
                    f"{move.new} and the root {root.path}, which is in the library already, would "
                    f"be one within the other. Index it instead (polyglance index {move.new}): "
                    "files that moved are recognised by their content, and nothing is embedded "
                    "again."
                )
    return moves


def _nested(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def sample_of(engine: Engine, moves: Sequence[Move]) -> Sampled:
    """Look for some of the files, spread over all, where they would be."""
    looked_for = there = 0
    first_missing = None
    for move in moves:
        for path, size_bytes in _some_files(engine, move.root.id):
            looked_for += 1
            file = move.new / PurePosixPath(path)
            if _has_size(move.new, path, size_bytes):
                there += 1
            elif first_missing is None:
                first_missing = file
    return Sampled(looked_for, there, first_missing)


def _some_files(engine: Engine, root_id: int) -> list[Any]:
    here = Location.root_id == root_id
    with engine.connect() as connection:
        count = connection.execute(select(func.count(Location.id)).where(here)).scalar_one()
        every = max(1, count // SAMPLE_FILES)
        number = func.row_number().over(order_by=Location.id).label("number")
        numbered = select(Location.path, Location.size_bytes, number).where(here).subquery()
        query = (
            select(numbered.c.path, numbered.c.size_bytes)
            .where(numbered.c.number % every == 0)
            .limit(SAMPLE_FILES)
        )
        return list(connection.execute(query))


def _has_size(root: Path, path: str, size_bytes: int) -> bool:
    """A member's container is not opened: that it is there must do."""
    try:
        if split_location(root, path) is not None:
            return True
        return (root / path).stat().st_size == size_bytes
    except OSError:
        return False


def move_roots(library: Library, old: Path, new: Path) -> list[Move]:
    """Give the roots at or below `old` their places below `new`, all or none. Raises
    HousekeepingError as `plan_moves` does; LibraryBusy."""
    with writer_lock(library.data_dir, "remap"):
        moves = plan_moves(library.engine, old, new)
        with library.engine.begin() as connection:
            # In two steps: one root's new place can be another's old one.
            for move in moves:
                _set_path(connection, move, f"moving {move.root.id}")
            for move in moves:
                _set_path(connection, move, str(move.new))
            _count_commit(connection)
    return moves


def _set_path(connection: Connection, move: Move, path: str) -> None:
    connection.execute(update(Root).where(Root.id == move.root.id).values(path=path))


def _count_commit(connection: Connection) -> None:
    connection.execute(
        update(Counter).where(Counter.name == "commit").values(value=Counter.value + 1)
    )
