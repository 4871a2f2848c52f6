"""One writer at a time, by a lock that dies with its process."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from storage.errors import LibraryBusy


@contextmanager
def writer_lock(data_dir: Path, purpose: str) -> Iterator[None]:
    """Hold the library's write lock. Raises LibraryBusy, naming the holder, when it is taken."""
    lock = FileLock(data_dir / "writer.lock", timeout=0)
    holder = data_dir / "writer.json"
    try:
        lock.acquire()
    except Timeout:
        raise LibraryBusy(
            f"{_describe(holder)} is writing to the library in {data_dir}. "
            "Wait until it has finished, or stop it."
        ) from None
    try:
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "purpose": purpose,
        }
        holder.write_text(json.dumps(facts))
        yield
    finally:
        with contextlib.suppress(OSError):  # a disk turned read-only: the lock goes all the same
            holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        facts = json.loads(holder.read_text())
        return (
            f"Another process (polyglance {facts['purpose']}, pid {facts['pid']} on "
            f"{facts['host']}, since {facts['since']})"
        )
    except (OSError, ValueError, KeyError):  # it has just let go, or not yet written its name
        return "Another process"
