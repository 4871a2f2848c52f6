"""Walking the disk in the catalog's order, and comparing the two as they go by.

Both come in the order of their paths' UTF-8 bytes, so that the comparison is a merge: memory does
not grow with the collection.
"""

import os
import stat as stat_modes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from imaging import PICTURE_SUFFIXES, sniff_format
from indexer.errors import SourceError
from storage.catalog.column_types import path_to_text
from storage.files import known_files
from storage.records import FileStat, KnownFile, RootRecord

SNIFF_BYTES = 64
UNREGISTERED = -1
"""For a root that the catalog has no row of."""


@dataclass(frozen=True)
class Source:
    """A folder or a file to index, as the part of a root that it is."""

    root: RootRecord
    below: str
    """Path relative to the root: "" for the root itself, else "folder/" or "folder/file.jpg"."""

    @classmethod
    def within(cls, root: RootRecord, path: Path) -> "Source":
        """The part of `root` that `path`, an existing file or folder, is."""
        relative = path.relative_to(root.path).as_posix()
        return cls(root, "" if relative == "." else relative + ("/" if path.is_dir() else ""))

    @property
    def absolute(self) -> Path:
        return self.root.path / self.below


@dataclass(frozen=True)
class UnreadableFolder:
    path: str
    """Relative to the root, ending in a slash."""
    reason: str


Verdict = Literal["new", "changed", "unchanged", "failed_before", "missing"]


@dataclass(frozen=True)
class Compared:
    verdict: Verdict
    found: FileStat | None
    """As it is on the disk; None when missing."""
    known: KnownFile | None
    """As the catalog has it; None when new."""


def resolve_source(name: str) -> Path:
    """Absolute path of what the user named. Raises SourceError."""
    path = Path(name).expanduser()
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)
    try:
        mode = absolute.stat().st_mode
        if stat_modes.S_ISDIR(mode):
            with os.scandir(absolute):
                return absolute
    except FileNotFoundError:
        raise SourceError(f"{name}: there is no such file or folder.") from None
    except PermissionError:
        raise SourceError(
            f"{name}: permission denied. Give your user the right to read it (and to enter the "
            "folders above it)."
        ) from None
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror}.") from None
    if not stat_modes.S_ISREG(mode):
        raise SourceError(f"{name}: is neither a folder nor an ordinary file.")
    return absolute


def walk(
    source: Source,
    exclude: tuple[str, ...],
    unreadable: Callable[[UnreadableFolder], None],
) -> Iterator[FileStat]:
    """Ordinary files of a source. Links to folders are followed, each folder once."""
    if source.below and not source.below.endswith("/"):
        yield _stat_of(source.root.id, source.below, source.absolute.stat())
        return
    seen: set[tuple[int, int]] = set()
    yield from _walk_folder(source, source.below, exclude, (seen, unreadable))


def _walk_folder(
    source: Source,
    folder: str,
    exclude: tuple[str, ...],
    state: tuple[set[tuple[int, int]], Callable[[UnreadableFolder], None]],
) -> Iterator[FileStat]:
    seen, unreadable = state
    path = source.root.path / folder
    try:
        identity = path.stat()
        if (identity.st_dev, identity.st_ino) in seen:
            return
        seen.add((identity.st_dev, identity.st_ino))
        with os.scandir(path) as listing:
            entries = [
                (entry, entry.is_dir())
                for entry in listing
                if not any(fnmatchcase(entry.name, pattern) for pattern in exclude)
            ]
    except OSError as error:
        unreadable(UnreadableFolder(folder, f"the folder can't be read: {error.strerror}"))
        return
    entries.sort(key=lambda each: _order(each[0].name + ("/" if each[1] else "")))
    for entry, is_dir in entries:
        if is_dir:
            yield from _walk_folder(source, f"{folder}{entry.name}/", exclude, state)
            continue
        try:
            entry_stat = entry.stat()
        except OSError:  # a dangling link, or gone since
            continue
        if stat_modes.S_ISREG(entry_stat.st_mode):
            yield _stat_of(source.root.id, folder + entry.name, entry_stat)


def _stat_of(root_id: int, path: str, found: os.stat_result) -> FileStat:
    return FileStat(root_id, path, found.st_size, found.st_mtime_ns)


def _order(path: str) -> bytes:
    return path_to_text(path).encode()


def compare(found: Iterable[FileStat], known: Iterable[KnownFile]) -> Iterator[Compared]:
    """Merge the disk and the catalog, both in order."""
    known = iter(known)
    row = next(known, None)
    for file in found:
        here = _order(file.path)
        while row is not None and _order(row.path) < here:
            yield Compared("missing", None, row)
            row = next(known, None)
        if row is not None and _order(row.path) == here:
            yield Compared(_verdict(file, row), file, row)
            row = next(known, None)
        else:
            yield Compared("new", file, None)
    while row is not None:
        yield Compared("missing", None, row)
        row = next(known, None)


def _verdict(file: FileStat, row: KnownFile) -> Verdict:
    if (file.size_bytes, file.mtime_ns) != (row.size_bytes, row.mtime_ns):
        return "changed"
    if row.location_id is None:
        return "failed_before"
    # A picture that this space does not hold (its embedding was let go) is read again.
    return "unchanged" if row.embedded else "changed"


def claims_to_be_a_picture(path: str) -> bool:
    """By its name. What such a file holds is then looked at, and complained of if it is none."""
    return os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122


def is_a_picture_after_all(path: Path) -> bool:
    """By its first bytes, for a file whose name says nothing."""
    try:
        with path.open("rb") as file:
            return sniff_format(file.read(SNIFF_BYTES)) is not None
    except OSError:
        return False


def pictures_compared(
    source: Source,
    known: Iterable[KnownFile],
    exclude: tuple[str, ...],
    unreadable: Callable[[UnreadableFolder], None],
) -> Iterator[Compared]:
    """Disk against catalog, pictures only: a file that is none by name and none by content is
    passed over without a word."""
    for compared in compare(walk(source, exclude, unreadable), known):
        found = compared.found
        if (
            found is not None
            and compared.known is None
            and not claims_to_be_a_picture(found.path)
            and not is_a_picture_after_all(source.root.path / found.path)
        ):
            continue
        yield compared


def known_below(engine: Engine, source: Source, space_id: int) -> Iterator[KnownFile]:
    """What the catalog knows of a source."""
    known = known_files(engine, source.root.id, space_id, source.below)
    if not source.below or source.below.endswith("/"):
        return known
    return (row for row in known if row.path == source.below)


def unregistered_source(path: Path) -> Source:
    """A source whose root is not in the catalog, and will not be by looking at it."""
    folder = path if path.is_dir() else path.parent
    return Source.within(RootRecord(UNREGISTERED, folder, UNREGISTERED, folder.name), path)


def names_below(path: Path, exclude: tuple[str, ...]) -> Iterator[str]:
    """Paths of the ordinary files in a source, folders that can't be read left out."""
    for file in walk(unregistered_source(path), exclude, lambda _: None):
        yield file.path
