"""Folders and files at URLs, by way of fsspec: "s3://bucket/photos", "ftp://nas/photos".

A URL travels through the program as a `Path`, in which "s3://bucket" reads "s3:/bucket". Paths on
the disk are absolute wherever they are kept, so the two can't be taken for one another.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from zlib import crc32

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/(?=[^/])")
_WRITTEN = re.compile(r"[a-z][a-z0-9+.-]+://")
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified")
_OTHER_TIMES = ("modify", "timeModified", "created")
_MARKS = ("ETag", "etag", "md5", "md5Hash", "checksum")
"""Where a file system has no time: what changes with the content, then."""

_connected = threading.local()


class RemoteFault(OSError):
    """A remote file system did not do what was asked; `strerror` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(None, reason)
        self.strerror = reason

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class RemoteFile:
    """What a listing says of a file or a folder."""

    name: str
    """Without the folders above it."""
    is_folder: bool
    size_bytes: int | None
    """None where a listing does not say, as those of web servers."""
    mtime_ns: int


def is_url(name: str) -> bool:
    """Whether a name, as a person writes it, is a URL."""
    return _WRITTEN.match(name) is not None


def url_of(path: Path) -> str | None:
    """The URL that a path stands for; None for one on the disk."""
    text = str(path)
    found = _URL.match(text)
    return None if found is None else f"{found[1]}://{text[found.end() :]}"


def list_remote(url: str) -> list[RemoteFile]:
    """What is in a folder now; nothing for a file. Raises OSError."""
    with _file_system(url) as (system, path):
        system.invalidate_cache(path)
        entries = [_as_file(entry) for entry in system.ls(path, detail=True)]
        own = path.rstrip("/").rpartition("/")[2]
        if len(entries) == 1 and entries[0].name == own and not entries[0].is_folder:
            return []  # a file's listing is the file
        return [entry for entry in entries if entry.name not in ("", ".", "..")]


def describe_remote(url: str, *, anew: bool = False) -> RemoteFile | None:
    """None where nothing is. Raises OSError.

    anew: even if this process has listed the folder before; some systems list all of a folder to
    describe one file.
    """
    with _file_system(url) as (system, path):
        if anew:
            system.invalidate_cache(path.rstrip("/").rpartition("/")[0])
        try:
            return _as_file(system.info(path))
        except FileNotFoundError:
            return None


def read_remote(url: str, start: int, end: int | None) -> bytes:
    """Bytes from `start` up to `end`. Raises OSError."""
    with _file_system(url) as (system, path):
        if start == 0 and end is None:
            return cast(bytes, system.cat_file(path))
        data = cast(bytes, system.cat_file(path, start=start, end=end))
        # There are web servers that send the whole file whatever part they are asked for.
        return data if end is None or len(data) <= end - start else data[start:end]


def open_remote(url: str) -> BinaryIO:
    """For reading here and there. Raises OSError."""
    with _file_system(url) as (system, path):
        return cast(BinaryIO, system.open(path, "rb"))


@contextmanager
def _file_system(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path on it; what it raises, as OSError."""
    place = "/".join(url.split("/", 3)[:3])
    kept = _connected.__dict__.setdefault("systems", {})
    try:
        if place not in kept:
            from fsspec.core import url_to_fs

            kept[place] = url_to_fs(url)[0]
        yield kept[place], kept[place]._strip_protocol(url)
    except ImportError as error:
        raise RemoteFault(f"needs a package that is not installed ({error})") from error
    except Exception as error:
        kept.pop(place, None)  # connected anew next time
        if isinstance(error, OSError) and error.strerror:
            raise
        words = " ".join(str(error).split())[:200]
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(2, "No such file or folder", url) from error
        raise RemoteFault(f"{type(error).__name__}: {words}") from error


def _as_file(info: Mapping[str, Any]) -> RemoteFile:
    name = str(info["name"]).rstrip("/").rpartition("/")[2]
    is_folder = info.get("type") == "directory"
    size = info.get("size")
    return RemoteFile(name, is_folder, None if size is None else int(size), _mtime_ns(info))


def _mtime_ns(info: Mapping[str, Any]) -> int:
    for key in (*_TIMES, *_OTHER_TIMES):
        found = _instant(info.get(key))
        if found is not None:
            return found
    marks = [str(info[key]) for key in _MARKS if info.get(key)]
    return crc32(" ".join(marks).encode()) if marks else 0


def _instant(value: Any) -> int | None:
    """Nanoseconds since 1970."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return round(value * 1_000_000) * 1000
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, datetime):
        return None
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000) * 1000


def _parsed(text: str) -> datetime | None:
    """ISO 8601, FTP's "20240501134500", HTTP's "Wed, 01 May 2024 13:45:00 GMT"."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(f"{text[:8]}T{text[8:]}" if text[:14].isdecimal() else text)
        except ValueError:
            continue
    return None
