"""Files that are either wholly there or not there at all, also after a power cut."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path


def fsync_dir(folder: Path) -> None:
    """Make renames and new names in `folder` durable. (Windows has no such call, nor the need.)"""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder`, and those above it that are missing, so that a power cut leaves them."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_dir(folder.parent)


def write_atomic(
    path: Path,
    write: Callable[[Path], object],
    *,
    durable: bool = True,
    beside: Path | None = None,
) -> None:
    """Have `write` fill a temporary file, then give it its name in one rename.

    durable: flush to the disk before and after the rename; derived files can do without.
    beside: folder for the temporary file, on the same disk; that of `path` by default.
    """
    writer = f"{os.getpid()}-{threading.get_ident()}"
    temporary = (beside or path.parent) / f".{path.name}.{writer}.tmp"
    try:
        write(temporary)
        if durable:
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        fsync_dir(path.parent)


def sweep_temporaries(folder: Path, older_than_s: float = 0) -> None:
    """Remove what a killed process left half-written."""
    for leftover in folder.glob(".*.tmp"):
        if time.time() - leftover.stat().st_mtime >= older_than_s:
            leftover.unlink(missing_ok=True)
