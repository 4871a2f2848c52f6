"""A disk that is full, read-only, locked or failing, in words that say what to do about it."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from storage.errors import LibraryNotWritable

_FULL = ("its disk is full", "Make room on it (or raise your quota)")
_READ_ONLY = ("its disk is read-only now", "Make it writable again (the system's log says why)")
_LOCKED = ("permission is denied", "Give your user the right to write to all of it")
_TOO_LARGE = ("a file may not grow any further", "Raise the limit of the file's size (ulimit -f)")
_FAILING = ("its disk does not take what is written", "Check its room, its rights and its health")

_BY_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _LOCKED,
    errno.EPERM: _LOCKED,
    errno.EFBIG: _TOO_LARGE,
    errno.EIO: _FAILING,
}
_BY_WORDS = (
    (re.compile(r"disk is full|no space left|quota exceeded", re.IGNORECASE), _FULL),
    (re.compile(r"readonly database|read-only file system", re.IGNORECASE), _READ_ONLY),
    (re.compile(r"permission denied|not permitted", re.IGNORECASE), _LOCKED),
    (re.compile(r"file too large", re.IGNORECASE), _TOO_LARGE),
    (re.compile(r"disk i/o error|unable to open database|input/output", re.IGNORECASE), _FAILING),
)


@contextmanager
def write_faults_explained(data_dir: Path) -> Iterator[None]:
    """Raises LibraryNotWritable in the place of what Python, SQLite, Arrow or FAISS say when the
    disk lets them down; everything else as it is."""
    try:
        yield
    except OSError as error:
        fault = _BY_ERRNO.get(error.errno or 0) if _is_ours(error, data_dir) else None
        if fault is None:
            raise
        raise _explained(data_dir, fault, error) from error
    except (DBAPIError, RuntimeError) as error:  # FAISS knows only RuntimeError
        words = str(error.orig if isinstance(error, DBAPIError) else error)
        found = (fault for pattern, fault in _BY_WORDS if pattern.search(words))
        fault = next(found, None)
        if fault is None:
            raise
        raise _explained(data_dir, fault, words) from error


def _is_ours(error: OSError, data_dir: Path) -> bool:
    """Arrow names no file; a file outside the library is somebody else's affair."""
    return error.filename is None or str(error.filename).startswith(str(data_dir))


def _explained(data_dir: Path, fault: tuple[str, str], detail: object) -> LibraryNotWritable:
    what, remedy = fault
    return LibraryNotWritable(
        f"The library in {data_dir} can't be written: {what} ({detail}). {remedy}, then run the "
        "same command again: what was committed so far is kept."
    )
