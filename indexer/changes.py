"""What has changed below some folders, as the operating system tells it."""

import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from indexer.errors import SourceError
from indexer.sources.members import is_excluded

SETTLE_S = 1.0
"""A change is acted upon when it has been quiet for so long …"""
PATIENCE_S = 15.0
"""… or since the first one so much time has passed."""

MOST_PATHS = 20_000
"""More changes than this are remembered as "anything may have changed"."""

_UNIMPORTANT = frozenset({"opened", "closed_no_write"})

Identity = tuple[int, int]
"""Device and number of a folder: another one when a disk is mounted there."""


def identity(path: Path) -> Identity | None:
    """None where nothing is, or where it is out of reach."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Changes:
    """Collects paths from the observer's threads; one thread waits for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._anything = False
        self._first = self._last = 0.0
        self._wake: SimpleQueue[None] = SimpleQueue()  # may be put to by a signal handler

    def add(self, path: str) -> None:
        with self._lock:
            if len(self._paths) >= MOST_PATHS:
                self._paths.clear()
                self._anything = True
            elif not self._anything:
                self._paths.add(path)
            self._note_time()
        self._wake.put(None)

    def add_anything(self) -> None:
        """Changes were lost: everything is to be looked at."""
        with self._lock:
            self._anything = True
            self._note_time()
        self._wake.put(None)

    def _note_time(self) -> None:
        self._last = time.monotonic()
        self._first = self._first or self._last

    def wake(self) -> None:
        """End the wait of whoever waits; safe within a signal handler."""
        self._wake.put(None)

    def wait(self, seconds: float) -> None:
        """Until something happens, at most so long."""
        try:
            self._wake.get(timeout=max(seconds, 0.0))
        except Empty:
            return
        while not self._wake.empty():
            self._wake.get()

    def due_in(self) -> float | None:
        """Seconds until what has changed has settled; None when nothing has."""
        with self._lock:
            if not self._first:
                return None
            return min(self._last + SETTLE_S, self._first + PATIENCE_S) - time.monotonic()

    def take(self) -> set[str] | None:
        """The paths that have changed; None when anything may have."""
        with self._lock:
            taken = None if self._anything else self._paths
            self._paths, self._anything, self._first = set(), False, 0.0
            return taken

    def put_back(self, paths: set[str] | None) -> None:
        """What was taken and could not be dealt with; no new event, so nobody wakes."""
        with self._lock:
            self._anything = self._anything or paths is None
            self._paths |= paths or set()
            self._first = self._first or time.monotonic()


class FolderObserver:
    """Watches one source: a folder and all below it, or a single file by way of its folder."""

    def __init__(
        self, source: Path, exclude: tuple[str, ...], data_dir: Path, changes: Changes
    ) -> None:
        """data_dir: the library, whose own writing is no change, should it lie in the source."""
        self.source = source
        self._exclude = exclude
        self._data_dir = data_dir if source in data_dir.parents else None
        self._changes = changes
        self._observer: Observer | None = None  # type: ignore[valid-type]

    def start(self) -> None:
        """Raises SourceError when the system watches no more folders."""
        is_folder = self.source.is_dir()
        # It warns of a folder that it comes by twice, being told of it and finding it itself.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        observer = Observer()
        try:
            observer.schedule(
                _Handler(self),
                str(self.source if is_folder else self.source.parent),
                recursive=is_folder,
            )
            observer.start()
        except OSError as error:
            raise SourceError(
                f"{self.source}: can't be watched ({error.strerror or error}). Let the system "
                "watch more folders (on Linux: sysctl fs.inotify.max_user_watches=1048576), or "
                "look from time to time: --poll 60"
            ) from error
        self._observer = observer

    def stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    @property
    def is_at_work(self) -> bool:
        """False when a thread of it has ended by itself: nothing would be told any more."""
        observer = self._observer
        if observer is None or not observer.is_alive():
            return False
        return all(emitter.is_alive() for emitter in observer.emitters)

    def note(self, path: str) -> None:
        if self._concerns(Path(path)):
            self._changes.add(path)

    def _concerns(self, path: Path) -> bool:
        if self._data_dir is not None and self._data_dir in (path, *path.parents):
            return False
        if path == self.source:
            return True
        if self.source not in path.parents:
            return False
        return not any(
            is_excluded(part, self._exclude) for part in path.relative_to(self.source).parts
        )


class _Handler(FileSystemEventHandler):
    def __init__(self, observer: FolderObserver) -> None:
        self._observer = observer

    def on_any_event(self, event: FileSystemEvent) -> None:
        # That a folder was modified says that something in it was, which is told by itself.
        if event.event_type in _UNIMPORTANT or (
            event.is_directory and event.event_type == "modified"
        ):
            return
        for path in (event.src_path, event.dest_path):
            if path:
                self._observer.note(os.fsdecode(path))


@contextmanager
def losses_noted(changes: Changes) -> Iterator[None]:
    """The observer merely logs that the system's queue ran over, or that it lost a folder."""
    handler = _LossHandler(changes)
    logger = logging.getLogger("watchdog")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _LossHandler(logging.Handler):
    def __init__(self, changes: Changes) -> None:
        super().__init__(logging.WARNING)
        self._changes = changes

    def emit(self, record: logging.LogRecord) -> None:
        self._changes.add_anything()
