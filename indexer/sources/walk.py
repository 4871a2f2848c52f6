"""Walking a source in the catalog's order of paths."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from indexer.sidecars import sidecar_names
from indexer.sources.members import FoundContainer, Unreadable, is_excluded, list_members
from indexer.sources.named import Named, Source, catalog_order
from storage.records import FileStat
from storage.sources.containers import is_container_name
from storage.sources.places import (
    Entry,
    folder_identity,
    is_there,
    list_folder,
    ordinary_file,
)

CATALOG = "catalog.db"
LIBRARY_FOLDERS = ("embeddings/", "golden/", "index/", "thumbnails/")

Report = Callable[[Unreadable], None]


@dataclass(frozen=True)
class Absent:
    """A listed file that is not there, or can't be looked at."""

    path: str
    reason: str


Found = FileStat | FoundContainer | Absent


def walk(source: Source, exclude: tuple[str, ...], unreadable: Report) -> Iterator[Found]:
    """Ordinary files of a source, its containers unopened. Links to folders are followed, each
    folder once. What is named by the user itself is not excluded."""
    if source.listed is not None:
        yield from _listed(source)
    elif not source.below or source.below.endswith("/"):
        container = _as_container(source)
        if container is not None:
            yield container
        else:
            yield from _Walk(source, exclude, unreadable).folder(source.below)
    else:
        yield from _listed(Source(source.root, "", (source.below,)))


def _as_container(source: Source) -> FoundContainer | None:
    if not is_container_name(source.absolute.name):
        return None
    try:
        state = ordinary_file(source.absolute)
    except OSError:  # no folder that can be read either, as the walk will say
        return None
    if state is None:
        return None
    return FoundContainer(source.root.id, source.below, source.absolute, state)


def _listed(source: Source) -> Iterator[FileStat | Absent]:
    assert source.listed is not None
    for path in source.listed:
        absolute = source.root.path / path
        try:
            state = ordinary_file(absolute)
            if state is None:
                is_other = is_there(absolute)
                reason = "is no ordinary file" if is_other else "there is no such file"
                yield Absent(path, reason)
                continue
            yield FileStat(source.root.id, path, *state, _latest_beside(absolute))
        except OSError as error:
            yield Absent(path, f"can't be read: {error.strerror}")


def _latest_beside(path: Path) -> int | None:
    """The latest time of a file's sidecars, where there is no listing to look them up in."""
    times = []
    for name in sidecar_names(path.name):
        found = ordinary_file(path.with_name(name))
        if found is not None:
            times.append(found.mtime_ns)
    return max(times, default=None)


@dataclass
class _Walk:
    source: Source
    exclude: tuple[str, ...]
    unreadable: Report
    seen: set[tuple[int, int]] = field(default_factory=set)
    """Device and number of the folders that were gone through."""

    def folder(self, below: str) -> Iterator[FileStat | FoundContainer]:
        """All that lies below a folder. Not by recursion: folders can be nested very deeply."""
        open_folders = [self._entries(below)]
        while open_folders:
            found = next(open_folders[-1], None)
            if found is None:
                open_folders.pop()
            elif isinstance(found, str):
                open_folders.append(self._entries(found))
            else:
                yield found

    def _entries(self, below: str) -> Iterator[FileStat | FoundContainer | str]:
        """What is in one folder; the paths of those in it, where they come in the order."""
        path = self.source.root.path / below
        try:
            identity = folder_identity(path)
            if identity in self.seen:
                return
            if identity is not None:
                self.seen.add(identity)
            entries = {
                entry.name + ("/" if _goes_deeper(entry) else ""): entry
                for entry in list_folder(path)
                if not is_excluded(entry.name, self.exclude)
            }
        except OSError as error:
            reason = f"the folder can't be read: {error.strerror}"
            self.unreadable(Unreadable(below, reason))
            return
        if CATALOG in entries:  # a library: its thumbnails are no pictures of anybody's
            entries = {name: each for name, each in entries.items() if name not in LIBRARY_FOLDERS}
        for name in sorted(entries, key=catalog_order):
            entry = entries[name]
            try:
                if name.endswith("/") and entry.is_folder():
                    yield below + name
                    continue
                state = entry.file_state()
            except OSError:  # a dangling link, or gone since
                continue
            if state is None:
                continue
            if name.endswith("/"):
                file = path / entry.name
                yield FoundContainer(self.source.root.id, below + name, file, state)
            else:
                beside = _latest_sidecar(name, entries)
                yield FileStat(self.source.root.id, below + name, *state, beside)


def _goes_deeper(entry: Entry) -> bool:
    try:
        return entry.is_folder() or (
            is_container_name(entry.name) and entry.file_state() is not None
        )
    except OSError:  # a link to itself
        return False


def _latest_sidecar(name: str, entries: Mapping[str, Entry]) -> int | None:
    times = []
    for beside in sidecar_names(name):
        if beside in entries:
            try:
                state = entries[beside].file_state()
            except OSError:  # gone since
                continue
            if state is not None:
                times.append(state.mtime_ns)
    return max(times, default=None)


def names_below(named: Named, exclude: tuple[str, ...]) -> Iterator[str]:
    """Paths of the files in a source, what can't be read left out."""
    for found in walk(named.unregistered(), exclude, lambda _: None):
        if isinstance(found, FoundContainer):
            yield from (stat.path for stat in list_members(found, exclude, lambda _: None))
        elif isinstance(found, FileStat):
            yield found.path
