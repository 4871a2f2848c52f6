"""Keeping a library current: an index job whenever something has changed."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders import Encoder
from indexer.changes import Changes, FolderObserver, Identity, identity, losses_noted
from indexer.config import IndexConfig
from indexer.errors import SourceError
from indexer.job import IndexJob
from indexer.preview import preview
from indexer.report import IndexRequest, JobReport
from indexer.sidecars import sidecar_names
from indexer.sources.named import resolve_source
from indexer.sources.pictures import claims_to_be_a_picture, is_a_picture_after_all
from storage.errors import LibraryBusy
from storage.library import Library
from storage.sources.containers import is_container_name
from storage.sources.places import holds_something, is_folder, is_remote, shown

PRESENCE_S = 10.0
"""How often it is seen whether a source was unplugged or has come back: one stat each."""

BUSY_S = 2.0
"""How long to wait for another writer before asking again."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class WatchRequest:
    sources: Sequence[str]
    collection: str | None = None
    prune: bool = False
    poll_seconds: float | None = None
    """Compare all files so often, instead of being told: for network folders, whose changes the
    system does not tell."""


class Watcher:
    """Holds the write lock only while it indexes. `stop` may be called from a signal handler."""

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        config: IndexConfig,
        request: WatchRequest,
        say: Say,
    ) -> None:
        """Raises SourceError."""
        self._library = library
        self._encoder = encoder
        self._config = config
        self._request = request
        self._say = say
        self._sources = [resolve_source(name) for name in request.sources]
        self._folders = {each: each if is_folder(each) else each.parent for each in self._sources}
        self._changes = Changes()
        self._seen: dict[Path, Identity | None] = {}
        self._observers: dict[Path, FolderObserver] = {}
        self._stopped = threading.Event()
        self._job: IndexJob | None = None
        self._told_busy = False

    def stop(self) -> None:
        """Finish the batch in flight, and end."""
        self._stopped.set()
        if self._job is not None:
            self._job.stop.set()
        self._changes.wake()

    def run(self) -> None:
        """Until stopped. Raises SourceError, and what the storage raises."""
        with losses_noted(self._changes):
            try:
                for source in self._sources:
                    self._observe(source)
                self._changes.add_anything()  # what happened while nobody watched
                self._index_changes()
                while not self._stopped.is_set():
                    self._turn()
            finally:
                for observer in self._observers.values():
                    observer.stop()

    def _turn(self) -> None:
        due_in = self._changes.due_in()
        if due_in is not None and due_in <= 0:
            self._index_changes()
        elif self._request.poll_seconds is not None:
            self._changes.wait(self._request.poll_seconds if due_in is None else due_in)
            if self._changes.due_in() is None and not self._stopped.is_set():
                self._look_for_changes()
        else:
            self._changes.wait(PRESENCE_S if due_in is None else due_in)
            self._check_presence()

    def _observe(self, source: Path) -> None:
        self._seen[source] = self._identity(source)
        if self._request.poll_seconds is not None:
            return
        if is_remote(source):
            raise SourceError(
                f"{shown(source)}: nobody tells what changes at a URL. Compare from time to time: "
                "--poll 600"
            )
        observer = FolderObserver(
            source, self._config.exclude, self._library.data_dir, self._changes
        )
        observer.start()
        self._observers[source] = observer

    def _identity(self, source: Path) -> Identity | None:
        return (0, 0) if is_remote(source) else identity(self._folders[source])

    def _check_presence(self) -> None:
        """A disk that goes takes its watch with it; one that comes back is looked at as a whole."""
        for source in self._sources:
            now = self._identity(source)
            if now == self._seen[source]:
                if now is not None and not self._observers[source].is_at_work:
                    self._observers.pop(source).stop()
                    self._observe(source)
                    self._changes.add_anything()  # what happened since is not known
                continue
            gone = self._observers.pop(source, None)
            if gone is not None:
                gone.stop()
            if now is None:
                self._seen[source] = None
                self._say(f"{shown(source)} is gone; what is known of it stays. Waiting for it.")
            else:
                self._say(f"{shown(source)} is back.")
                self._observe(source)
                self._changes.add(str(source))

    def _look_for_changes(self) -> None:
        """By comparing all files; the lock is not taken, and no job recorded, for nothing."""
        for source in self._sources:
            now = self._identity(source)
            if now != self._seen[source]:
                self._say(f"{shown(source)} is {'gone' if now is None else 'back'}.")
                self._seen[source] = now
            if now is None:
                continue
            try:
                counts = preview(self._library, [shown(source)], self._config)
            except SourceError as error:
                self._say(str(error))
                continue
            if counts.new or counts.changed or (counts.removed and self._may_prune([source])):
                self._changes.add_anything()

    def _index_changes(self) -> None:
        taken = self._changes.take()
        request = self._request_for(taken)
        if request is None:
            return
        try:
            report = self._index(request)
        except SourceError as error:  # gone again since
            self._say(str(error))
            return
        except LibraryBusy as error:
            self._changes.put_back(taken)
            self._wait_for_the_other(str(error))
            return
        self._told_busy = False
        if report is not None:
            self._say(in_words(report))

    def _wait_for_the_other(self, words: str) -> None:
        """It is said once who is writing."""
        if not self._told_busy:
            self._say(f"{words} Will go on after that.")
        self._told_busy = True
        until = time.monotonic() + BUSY_S
        while not self._stopped.is_set() and time.monotonic() < until:
            self._changes.wait(until - time.monotonic())

    def _index(self, request: IndexRequest) -> JobReport | None:
        job = IndexJob(self._library, self._encoder, self._config)
        self._job = job
        if self._stopped.is_set():
            return None
        try:
            report = job.run(request)
        finally:
            self._job = None
        counts = report.counts
        did = counts.new or counts.changed or counts.moved or counts.failed or counts.embedded
        return report if did or (report.pruned and counts.removed) else None

    def _request_for(self, paths: set[str] | None) -> IndexRequest | None:
        """The job that deals with what has changed; None if nothing is left to be done."""
        present = [source for source in self._sources if self._identity(source) is not None]
        if paths is None:
            folders, files = present, set[Path]()
        else:
            folders, files = self._sorted_out(map(Path, paths))
        if not folders and not files:
            return None
        return IndexRequest(
            [shown(folder) for folder in folders],
            self._request.collection,
            prune=self._may_prune(present),
            listed=[str(file) for file in sorted(files)] or None,
        )

    def _may_prune(self, sources: Iterable[Path]) -> bool:
        return self._request.prune and all(holds_something(source) for source in sources)

    def _sorted_out(self, paths: Iterable[Path]) -> tuple[list[Path], set[Path]]:
        """Folders to look at with all that is below, and single files."""
        folders: set[Path] = set()
        files: set[Path] = set()
        for path in paths:
            if path.is_dir():
                folders.add(path)
            elif not os.path.lexists(path) and self._request.prune:
                folders.update(self._nearest_folder(path))
            elif path.is_file() and _may_be_indexed(path):
                files.add(path)
            files.update(_pictures_of_sidecar(path))
        outer = [each for each in folders if not folders.intersection(each.parents)]
        return sorted(outer), {each for each in files if not folders.intersection(each.parents)}

    def _nearest_folder(self, gone: Path) -> list[Path]:
        """The lowest folder above it that is there, within the sources."""
        for folder in gone.parents:
            if not any(source in (folder, *folder.parents) for source in self._sources):
                return []
            if folder.is_dir():
                return [folder]
        return []


def _may_be_indexed(path: Path) -> bool:
    by_name = claims_to_be_a_picture(path.name) or is_container_name(path.name)
    return by_name or is_a_picture_after_all(path)


def _pictures_of_sidecar(path: Path) -> set[Path]:
    """The pictures that a file, there or not, stands beside with words of theirs."""
    if path.suffix.lower() not in (".txt", ".json", ".xmp"):
        return set()
    try:
        with os.scandir(path.parent) as listing:
            names = [entry.name for entry in listing if claims_to_be_a_picture(entry.name)]
    except OSError:
        return set()
    return {path.parent / name for name in names if path.name in sidecar_names(name)}


def in_words(report: JobReport) -> str:
    counts = report.counts
    facts = {
        "new": counts.new,
        "changed": counts.changed,
        "moved": counts.moved,
        "failed": counts.failed,
        "forgotten": counts.removed if report.pruned else 0,
    }
    met = ", ".join(f"{count:,} {what}" for what, count in facts.items() if count)
    return f"{met or 'nothing new'}; {counts.embedded:,} embedded in {report.seconds:.1f} s"
