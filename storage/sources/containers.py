"""Reading a location's bytes: an ordinary file, or a member of a tar or of a Parquet file.

A container is a folder in a location's path: "shards/00000.tar/000000001.jpg".
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from storage.records import FileStat
from storage.sources.container_table import Container, ContainerDamaged, MemberTooLarge
from storage.sources.places import (
    FileState,
    is_folder,
    is_remote,
    is_there,
    open_file,
    ordinary_file,
    read_whole,
    state_of_open,
)

CONTAINER_SUFFIXES = (".tar", ".parquet")
OPEN_CONTAINERS = 4
"""Kept listed in one process. A table takes some 200 bytes a member."""

SECOND = 1_000_000_000
_COUNT_DIGITS = 100_000
_PROOF_DIGITS = 10_000


class LocationChanged(Exception):
    """A file was not the same after reading as before."""


class InContainer(NamedTuple):
    container: Path
    member: str


def is_container_name(name: str) -> bool:
    return name.lower().endswith(CONTAINER_SUFFIXES)


def split_location(root: Path, path: str) -> InContainer | None:
    """The container that a path leads into; None for one that leads to an ordinary file.

    Raises OSError. Only steps that are called like a container are looked at, and what is a
    folder after all is gone through.
    """
    parts = path.split("/")
    for end in range(1, len(parts)):
        if is_container_name(parts[end - 1]):
            container = root / "/".join(parts[:end])
            if ordinary_file(container) or ordinary_file(container, anew=True):
                return InContainer(container, "/".join(parts[end:]))
    return None


def open_container(path: Path, state: FileState) -> Container:
    """The table of a container as it was in `state`. Raises OSError, ContainerDamaged."""
    return _listed(path, state)


@lru_cache(maxsize=OPEN_CONTAINERS)
def _listed(path: Path, state: FileState) -> Container:
    if path.name.lower().endswith(".tar"):
        from storage.sources.tar_members import TarMembers

        return TarMembers(path)
    from storage.sources.parquet_rows import ParquetRows

    return ParquetRows(path)


def read_bytes(root: Path, path: str, max_bytes: int) -> bytes:
    """What a location holds now. Raises OSError, MemberTooLarge, LocationChanged."""
    inside = split_location(root, path)
    if inside is None:
        return _read_file(root / path, max_bytes, None)[0]
    return _read_member(inside, _state_of(inside.container), max_bytes)


def read_location(root: Path, stat: FileStat, max_bytes: int) -> tuple[bytes, FileStat]:
    """A location's bytes, and its size and time as they were at that moment.

    Raises OSError; MemberTooLarge; LocationChanged if it changes meanwhile, or if its container
    is no longer the one that was listed.
    """
    inside = split_location(root, stat.path)
    if inside is None:
        listed = FileState(stat.size_bytes, stat.mtime_ns)
        data, state = _read_file(root / stat.path, max_bytes, listed)
        return data, stat_with(stat, *state)
    before = _state_of(inside.container)
    if not is_stamp_of(stat.mtime_ns, before):
        before = _state_of(inside.container, anew=True)
    if not is_stamp_of(stat.mtime_ns, before):
        raise LocationChanged
    data = _read_member(inside, before, max_bytes)
    if ordinary_file(inside.container) != before:
        raise LocationChanged
    return data, stat_with(stat, len(data), stat.mtime_ns)


def stat_with(stat: FileStat, size_bytes: int, mtime_ns: int) -> FileStat:
    return FileStat(stat.root_id, stat.path, size_bytes, mtime_ns, stat.sidecar_mtime_ns)


def location_is_gone(root: Path, path: str) -> bool:
    """Whether a file is deleted or moved, and not merely out of reach: its root is there, and so
    is a container that it was in, whole, without it."""
    if not is_folder(root):
        return False
    try:
        inside = split_location(root, path)
        if inside is None:
            # Asked for the root once more: a connection can be lost in between.
            return not is_there(root / path) and (not is_remote(root) or is_folder(root))
        container = open_container(inside.container, _state_of(inside.container))
    except OSError:
        return False
    return container.damage is None and not container.holds(inside.member)


def holds_member(inside: InContainer) -> bool:
    """Raises OSError."""
    return open_container(inside.container, _state_of(inside.container)).holds(inside.member)


def _state_of(path: Path, *, anew: bool = False) -> FileState:
    state = ordinary_file(path, anew=anew)
    if state is None:
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return state


def _read_member(inside: InContainer, state: FileState, max_bytes: int) -> bytes:
    container = open_container(inside.container, state)
    try:
        return container.read(inside.member, max_bytes)
    except KeyError:
        where = f"{inside.container}/{inside.member}"
        raise FileNotFoundError(2, "No such file in the container", where) from None


def _read_file(path: Path, max_bytes: int, listed: FileState | None) -> tuple[bytes, FileState]:
    """listed: as the walk saw it."""
    if is_remote(path):
        return _read_remote_file(path, max_bytes, listed)
    with open_file(path) as file:
        before = state_of_open(file)
        if before.size_bytes > max_bytes:
            raise MemberTooLarge(before.size_bytes)
        data = file.read(before.size_bytes + 1)
        if state_of_open(file) != before or len(data) != before.size_bytes:
            raise LocationChanged
    return data, before


def _read_remote_file(
    path: Path, max_bytes: int, listed: FileState | None
) -> tuple[bytes, FileState]:
    state = ordinary_file(path)
    if state is None or (listed is not None and state != listed):
        state = _state_of(path, anew=True)
    if state.size_bytes > max_bytes:
        raise MemberTooLarge(state.size_bytes)
    data = read_whole(path)
    if len(data) != state.size_bytes:
        raise LocationChanged
    return data, state


def stamp_of(container: FileState, pictures: int) -> int:
    """The time that is kept for each member of a container: its second is the container's.

    Below it stand how many pictures were listed, so that a container that was indexed in part is
    not taken for done, and a proof of the container's exact time and size, so that another one of
    the same second is not taken for it. A container of 99,999 pictures or more has no such number,
    and is listed in every run.
    """
    count = pictures if pictures < _COUNT_DIGITS else 0
    second = container.mtime_ns // SECOND
    return second * SECOND + count * _PROOF_DIGITS + _proof(container)


def is_stamp_of(stamp: int, container: FileState) -> bool:
    """Whether a member's time was given to it by this container, unchanged."""
    same_second = stamp // SECOND == container.mtime_ns // SECOND
    return same_second and stamp % _PROOF_DIGITS == _proof(container)


def pictures_in_stamp(stamp: int) -> int:
    """How many pictures its container had; 0 where they were too many to be counted."""
    return stamp % SECOND // _PROOF_DIGITS


def _proof(container: FileState) -> int:
    return crc32(f"{container.mtime_ns} {container.size_bytes}".encode()) % _PROOF_DIGITS


__all__ = [
    "Container",
    "ContainerDamaged",
    "InContainer",
    "LocationChanged",
    "MemberTooLarge",
    "holds_member",
    "is_container_name",
    "is_stamp_of",
    "location_is_gone",
    "open_container",
    "pictures_in_stamp",
    "read_bytes",
    "read_location",
    "split_location",
    "stamp_of",
]
