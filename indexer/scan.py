"""Comparing what the walk finds with the catalog as both go by.

Both come in the order of their paths' UTF-8 bytes, so that the comparison is a merge: memory does
not grow with the collection (only one container's rows are ever held).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine

from indexer.sources.members import FoundContainer, Unreadable, is_as_known, list_members
from indexer.sources.named import Source, catalog_order
from indexer.sources.pictures import claims_to_be_a_picture, is_a_picture_after_all
from indexer.sources.walk import Absent, walk
from storage.files import known_files
from storage.records import FileStat, KnownFile
from storage.sources.container_table import UNKNOWN_SIZE

Verdict = Literal["new", "changed", "unchanged", "failed_before", "missing"]


@dataclass(frozen=True)
class Compared:
    verdict: Verdict
    found: FileStat | None
    """As it is on the disk; None when missing."""
    known: KnownFile | None
    """As the catalog has it; None when new."""


def pictures_compared(
    source: Source,
    known: Iterable[KnownFile],
    exclude: tuple[str, ...],
    unreadable: Callable[[Unreadable], None],
) -> Iterator[Compared]:
    """Disk against catalog, pictures only: a file that is none by name and none by content is
    passed over without a word."""
    rows = _Rows(known)
    for found in walk(source, exclude, unreadable):
        yield from rows.before(found.path)
        if isinstance(found, FoundContainer):
            yield from _container_compared(found, rows.at_or_below(found.path), exclude, unreadable)
            continue
        row = rows.take(found.path)
        if isinstance(found, Absent):
            if row is None or row.location_id is None:
                unreadable(Unreadable(found.path, found.reason))
            else:
                yield Compared("missing", None, row)
        elif row is not None:
            yield Compared(_verdict(found, row), found, row)
        elif claims_to_be_a_picture(found.path) or is_a_picture_after_all(
            source.root.path / found.path
        ):
            yield Compared("new", found, None)
    yield from rows.rest()


class _Rows:
    """The catalog's side of the merge."""

    def __init__(self, known: Iterable[KnownFile]) -> None:
        self._rows = iter(known)
        self._next = next(self._rows, None)

    def _advance(self) -> KnownFile:
        row = self._next
        assert row is not None
        self._next = next(self._rows, None)
        return row

    def before(self, path: str) -> Iterator[Compared]:
        """What should have come before `path`, and did not."""
        here = catalog_order(path)
        while self._next is not None and catalog_order(self._next.path) < here:
            yield Compared("missing", None, self._advance())

    def take(self, path: str) -> KnownFile | None:
        return self._advance() if self._next is not None and self._next.path == path else None

    def at_or_below(self, folder: str) -> list[KnownFile]:
        rows = []
        while self._next is not None and self._next.path.startswith(folder):
            rows.append(self._advance())
        return rows

    def rest(self) -> Iterator[Compared]:
        while self._next is not None:
            yield Compared("missing", None, self._advance())


def _container_compared(
    found: FoundContainer,
    known: list[KnownFile],
    exclude: tuple[str, ...],
    unreadable: Callable[[Unreadable], None],
) -> Iterator[Compared]:
    if is_as_known(found, known):
        for row in known:
            stat = FileStat(
                found.root_id, row.path, row.size_bytes, row.mtime_ns, row.sidecar_mtime_ns
            )
            yield Compared(_verdict(stat, row), stat, row)
        return
    rows = _Rows(known)
    for stat in list_members(found, exclude, unreadable):
        yield from rows.before(stat.path)
        member = rows.take(stat.path)
        yield Compared("new" if member is None else _verdict(stat, member), stat, member)
    yield from rows.rest()


def _verdict(file: FileStat, row: KnownFile) -> Verdict:
    same_size = file.size_bytes == row.size_bytes or UNKNOWN_SIZE in (
        file.size_bytes,
        row.size_bytes,
    )
    if not same_size or file.mtime_ns != row.mtime_ns:
        return "changed"
    if row.location_id is None:
        return "failed_before"
    if file.sidecar_mtime_ns != row.sidecar_mtime_ns:
        return "changed"
    # A picture that this space does not hold (its embedding was let go) is read again.
    return "unchanged" if row.embedded else "changed"


def known_below(engine: Engine, source: Source, space_id: int) -> Iterator[KnownFile]:
    """What the catalog knows of a source."""
    known = known_files(engine, source.root.id, space_id, source.below)
    if source.listed is not None:
        listed = frozenset(source.listed)
        return (row for row in known if row.path in listed)
    if not source.below or source.below.endswith("/"):
        return known
    return (row for row in known if row.path == source.below)
