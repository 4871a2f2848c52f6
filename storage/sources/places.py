"""Files and folders, on the disk or at a URL."""

import os
import stat as stat_modes
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from storage.sources.remote import (
    RemoteFault,
    RemoteFile,
    describe_remote,
    list_remote,
    open_remote,
    read_remote,
    url_of,
)


class FileState(NamedTuple):
    """What tells a file from what it was before."""

    size_bytes: int
    mtime_ns: int


class Entry(Protocol):
    """What is in a folder, as its listing says."""

    @property
    def name(self) -> str: ...

    def is_folder(self) -> bool:
        """Raises OSError."""
        ...

    def file_state(self) -> FileState | None:
        """None for what is no ordinary file. Raises OSError."""
        ...


class _DiskEntry:
    __slots__ = ("_entry", "name")

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry = entry
        self.name = entry.name

    def is_folder(self) -> bool:
        return self._entry.is_dir()

    def file_state(self) -> FileState | None:
        return _state_of(self._entry.stat())


class _RemoteEntry:
    def __init__(self, folder: str, found: RemoteFile) -> None:
        self._url = f"{folder}/{found.name}"
        self._found = found
        self.name = found.name

    def is_folder(self) -> bool:
        return self._found.is_folder

    def file_state(self) -> FileState | None:
        if self._found.is_folder:
            return None
        if self._found.size_bytes is None:
            self._found = describe_remote(self._url) or self._found
        return _state_of_remote(self._found)


def shown(path: Path) -> str:
    """A path as a person would write it."""
    return url_of(path) or str(path)


def is_remote(path: Path) -> bool:
    return url_of(path) is not None


def list_folder(path: Path) -> Iterator[Entry]:
    """Raises OSError."""
    url = url_of(path)
    if url is not None:
        yield from (_RemoteEntry(url, found) for found in list_remote(url))
        return
    with os.scandir(path) as listing:
        yield from map(_DiskEntry, listing)


def folder_identity(path: Path) -> tuple[int, int] | None:
    """The same for all ways to one folder; None where there are no links. Raises OSError."""
    if is_remote(path):
        return None
    found = path.stat()
    return found.st_dev, found.st_ino


def open_file(path: Path) -> BinaryIO:
    """Raises OSError."""
    url = url_of(path)
    return path.open("rb") if url is None else open_remote(url)


def read_part(path: Path, start: int, length: int) -> bytes:
    """Fewer bytes than asked for only at the file's end. Raises OSError."""
    url = url_of(path)
    if url is not None:
        return read_remote(url, start, start + length) if length else b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)


def read_whole(path: Path) -> bytes:
    """Raises OSError."""
    url = url_of(path)
    return path.read_bytes() if url is None else read_remote(url, 0, None)


def state_of_open(file: BinaryIO) -> FileState:
    """Of a file on the disk."""
    found = os.fstat(file.fileno())
    return FileState(found.st_size, found.st_mtime_ns)


def ordinary_file(path: Path, *, anew: bool = False) -> FileState | None:
    """None for a folder, a device, a pipe, and where nothing is. Raises OSError.

    anew: do not believe what a remote file system has told this process before.
    """
    url = url_of(path)
    if url is not None:
        described = describe_remote(url, anew=anew)
        return None if described is None else _state_of_remote(described)
    try:
        return _state_of(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_folder(path: Path) -> bool:
    """Whether a folder is there and can be looked into.

    At a URL, one that is empty does not count: on many stores that is what a folder looks like
    that is not there at all.
    """
    url = url_of(path)
    if url is None:
        return path.is_dir()
    try:
        return bool(list_remote(url))
    except OSError:
        return False


def holds_something(path: Path) -> bool:
    """Whether a folder is there and not empty, as an unplugged disk leaves its mount point."""
    if url_of(path) is not None:
        return is_folder(path)
    try:
        with os.scandir(path) as listing:
            return next(listing, None) is not None
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """Whether there is anything of that name, be it a link that leads nowhere. Raises OSError."""
    url = url_of(path)
    return os.path.lexists(path) if url is None else describe_remote(url, anew=True) is not None


def _state_of(found: os.stat_result) -> FileState | None:
    ordinary = stat_modes.S_ISREG(found.st_mode)
    return FileState(found.st_size, found.st_mtime_ns) if ordinary else None


def _state_of_remote(found: RemoteFile) -> FileState | None:
    if found.is_folder:
        return None
    if found.size_bytes is None:
        raise RemoteFault("its size is not told, so that nobody knows when it changes")
    return FileState(found.size_bytes, found.mtime_ns)
