"""Files that are either wholly there or not there at all, also after a power cut."""

import os
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


def write_atomic(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Have `write` fill a temporary file, then give it its name in one rename.

    durable: flush to the disk before and after the rename; derived files can do without.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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


def sweep_temporaries(folder: Path) -> None:
    """Remove what a killed process left half-written."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
