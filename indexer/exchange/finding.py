"""Pictures where files of embeddings say that they are: on the disk, in containers, at URLs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from indexer.sources.members import FoundContainer, list_members
from storage.records import FileStat, RootRecord
from storage.sources.containers import OPEN_CONTAINERS, split_location
from storage.sources.places import FileState, is_remote, ordinary_file

NO_ROOT = 0


@dataclass(frozen=True)
class Found:
    """A picture that is there."""

    path: Path
    """Absolute; through its container, if it is in one."""
    folder: Path
    """That its file lies in, or its container."""
    stat: FileStat
    """Its path is relative to `folder`, and it has no root yet."""

    def within(self, root: RootRecord) -> FileStat:
        """As a file of a root that holds `folder`."""
        below = self.path.relative_to(root.path).as_posix()
        return replace(self.stat, root_id=root.id, path=below)


class Finder:
    """Looks for pictures one after the other; those of one container best come together."""

    def __init__(self, exclude: tuple[str, ...]) -> None:
        """exclude: names that indexing passes over in containers, and so does this."""
        self._exclude = exclude
        self._listed = lru_cache(maxsize=OPEN_CONTAINERS)(self._list)

    def find(self, path: Path) -> Found | None:
        """path: absolute. None for what is not there or out of reach, and what is no file."""
        try:
            inside = split_location(*_from_the_top(path))
            file = path if inside is None else inside.container
            state = ordinary_file(file)
        except (OSError, ValueError):
            return None
        if state is None:
            return None
        if inside is None:
            return Found(path, path.parent, FileStat(NO_ROOT, path.name, *state))
        stat = self._listed(file, state).get(f"{file.name}/{inside.member}")
        return None if stat is None else Found(path, file.parent, stat)

    def _list(self, container: Path, state: FileState) -> Mapping[str, FileStat]:
        """By path from the container's folder. Just as indexing lists it, so that this finds what
        was imported unchanged; nothing of one that can't be read."""
        found = FoundContainer(NO_ROOT, f"{container.name}/", container, state)
        return {stat.path: stat for stat in list_members(found, self._exclude, lambda _: None)}


def top(path: Path) -> Path:
    """Where an absolute path begins: "/", or "s3:/bucket" for one at a URL."""
    return Path(*path.parts[:2]) if is_remote(path) else Path(path.anchor)


def _from_the_top(path: Path) -> tuple[Path, str]:
    return top(path), path.relative_to(top(path)).as_posix()
