"""An indexing job from its sources to its report."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from encoders import Encoder, Preprocessed
from indexer.config import IndexConfig
from indexer.reading import TRANSIENT_KINDS, PictureReader, ReadPicture
from indexer.report import Counts, IndexRequest, JobReport
from indexer.scan import (
    Compared,
    Source,
    UnreadableFolder,
    known_below,
    pictures_compared,
    resolve_source,
)
from storage.files import collection_id, locations_of, register_root
from storage.jobs import finish_job, start_job
from storage.library import Library
from storage.records import Batch, FailedFile, FileStat, IndexedFile, KnownFile
from storage.writer import LibraryWriter

ProgressListener = Callable[[Counts], None]


@dataclass
class _Pending:
    """Pictures that were read and wait for the encoder, and what waits for the commit."""

    batch: Batch = field(default_factory=Batch)
    to_embed: dict[bytes, Preprocessed] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)
    """Locations that a moved file has taken over in this job."""
    since: float = field(default_factory=time.monotonic)


class IndexJob:
    """Runs one request. `stop` may be set from a signal handler: the batch in flight is finished
    and committed, and the job ends as interrupted."""

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        config: IndexConfig,
        listener: ProgressListener = lambda _: None,
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._config = config
        self._listener = listener
        self.counts = Counts()
        self.stop = threading.Event()
        self._pending = _Pending()
        # Copies of one picture can be read side by side, before the catalog knows of the first.
        self._embedded_lately: deque[bytes] = deque(maxlen=4 * (config.batch_size + config.workers))
        self._failed_folders: list[UnreadableFolder] = []

    def run(self, request: IndexRequest) -> JobReport:
        """Raises SourceError before anything is done, and what the storage raises."""
        began = time.monotonic()
        paths = [resolve_source(name) for name in request.sources]
        with self._library.writer("index", self._encoder.space) as writer:
            sources = [self._register(path, request.collection) for path in paths]
            names = [str(path) for path in paths]
            job_id = start_job(self._library.engine, "index", self._encoder.space.checkpoint, names)
            try:
                for source in sources:
                    self._index_source(source, request, writer, job_id)
                self._flush(writer, job_id)
                self._library.fold(writer, force=self._library.manifest(writer.space) is None)
            except BaseException as error:
                words = str(error) or type(error).__name__
                self._close_job(job_id, "failed", words)
                raise
            status = "interrupted" if self.stop.is_set() else "done"
            self._close_job(job_id, status, None)
        seconds = time.monotonic() - began
        return JobReport(job_id, status, self.counts, seconds, request.prune)

    def _register(self, path: Path, collection: str | None) -> Source:
        folder = path if path.is_dir() else path.parent
        return Source.within(register_root(self._library.engine, folder, collection), path)

    def _close_job(self, job_id: int, status: str, error: str | None) -> None:
        finish_job(self._library.engine, job_id, status, asdict(self.counts), error)

    def _index_source(
        self, source: Source, request: IndexRequest, writer: LibraryWriter, job_id: int
    ) -> None:
        missing: list[KnownFile] = []
        into = source.root.collection_id
        if request.collection is not None:
            with self._library.engine.begin() as connection:
                into = collection_id(connection, request.collection)
        reader = PictureReader(
            self._library.engine,
            writer.space.id,
            self._encoder,
            self._library.thumbnails,
            self._config.limits,
        )
        work = self._files_to_read(source, request, (writer, into), missing)
        with ThreadPoolExecutor(self._config.workers, "read") as pool:
            for known, read in self._read_ahead(pool, reader, source, work):
                self._take(read, known, into)
                self._commit_when_due(writer, job_id)
        for folder in self._failed_folders:
            stat = FileStat(source.root.id, folder.path, 0, 0)
            failed = FailedFile(stat, "out_of_reach", folder.reason, content_is_bad=False)
            self._pending.batch.failures.append(failed)
            self.counts.failed += 1
            self.counts.seen += 1
        self._flush(writer, job_id)
        if not self.stop.is_set():
            self._settle_missing(source, missing, request.prune, writer)
        self._failed_folders.clear()

    def _files_to_read(
        self,
        source: Source,
        request: IndexRequest,
        writer_and_collection: tuple[LibraryWriter, int],
        missing: list[KnownFile],
    ) -> Iterator[Compared]:
        """New and changed files; counts the others, and gathers what is missing."""
        writer, into = writer_and_collection
        reassigned: list[int] = []
        known_files = known_below(self._library.engine, source, writer.space.id)
        for compared in pictures_compared(
            source, known_files, self._config.exclude, self._note_folder
        ):
            if self.stop.is_set():
                break
            found, known = compared.found, compared.known
            if found is None:
                assert known is not None
                missing.append(known)
                continue
            self.counts.seen += 1
            if compared.verdict == "unchanged" and known is not None:
                self.counts.unchanged += 1
                if request.collection is not None and known.collection_id != into:
                    assert known.location_id is not None
                    reassigned.append(known.location_id)
            elif compared.verdict == "failed_before" and not (
                request.retry_failed or (known and known.failure_kind in TRANSIENT_KINDS)
            ):
                self.counts.failed += 1
            else:
                yield compared
            self._listener(self.counts)
        if reassigned:
            writer.assign_collection(reassigned, into)

    def _read_ahead(
        self,
        pool: ThreadPoolExecutor,
        reader: PictureReader,
        source: Source,
        work: Iterator[Compared],
    ) -> Iterator[tuple[KnownFile | None, ReadPicture | FailedFile]]:
        """Keep the readers busy, a bounded way ahead of the encoder; results in order."""
        ahead = self._config.batch_size + 2 * self._config.workers
        waiting: deque[tuple[KnownFile | None, Future[ReadPicture | FailedFile]]] = deque()
        for compared in work:
            assert compared.found is not None
            path = source.root.path / compared.found.path
            waiting.append((compared.known, pool.submit(reader.read, path, compared.found)))
            if len(waiting) >= ahead:
                known, future = waiting.popleft()
                yield known, future.result()
            if self.stop.is_set():
                break
        for known, future in waiting:
            if self.stop.is_set() and future.cancel():
                self.counts.seen -= 1  # not looked at after all: the next run will
                continue
            yield known, future.result()

    def _take(
        self,
        read: ReadPicture | FailedFile,
        known: KnownFile | None,
        new_collection: int,
    ) -> None:
        pending = self._pending
        if isinstance(read, FailedFile):
            self.counts.failed += 1
            pending.batch.failures.append(read)
            return
        moved_from = None
        if known is None or known.location_id is None:
            moved_from = self._moved_from(read)
            if moved_from is None:
                self.counts.new += 1
            else:
                self.counts.moved += 1
        elif read.image_id is not None and read.image_id == known.image_id:
            self.counts.unchanged += 1  # merely touched, or its embedding was missing
        else:
            self.counts.changed += 1
        if read.image is not None:
            pending.batch.images[read.sha256] = read.image
        if read.pixels is not None and read.sha256 not in self._embedded_lately:
            pending.to_embed[read.sha256] = read.pixels
        kept = None if known is None else known.collection_id
        into = new_collection if kept is None else kept
        pending.batch.files.append(IndexedFile(read.stat, into, read.sha256, moved_from))
        if len(pending.to_embed) >= self._config.batch_size:
            self._embed()
        self._listener(self.counts)

    def _moved_from(self, read: ReadPicture) -> int | None:
        """The location that this file had, if its content was known at a place that is now empty
        (and not merely out of reach: the place's root is there)."""
        if read.image_id is None:
            return None
        for location_id, location in locations_of(self._library.engine, read.image_id):
            gone = location.root.is_dir() and not os.path.lexists(location.absolute)
            if gone and location_id not in self._pending.claimed:
                self._pending.claimed.add(location_id)
                return location_id
        return None

    def _embed(self) -> None:
        pending = self._pending
        if not pending.to_embed:
            return
        embeddings = self._encoder.encode_preprocessed(list(pending.to_embed.values()))
        pending.batch.embeddings.update(zip(pending.to_embed, embeddings, strict=True))
        self.counts.embedded += len(pending.to_embed)
        self._embedded_lately.extend(pending.to_embed)
        pending.to_embed.clear()

    def _commit_when_due(self, writer: LibraryWriter, job_id: int) -> None:
        pending = self._pending
        waited = time.monotonic() - pending.since
        if len(pending.batch.files) + len(pending.batch.failures) < self._config.commit_images and (
            waited < self._config.commit_seconds
        ):
            return
        self._flush(writer, job_id)
        self._library.fold(writer)

    def _flush(self, writer: LibraryWriter, job_id: int) -> None:
        self._embed()
        if self._pending.batch:
            writer.commit(self._pending.batch, job_id, asdict(self.counts))
        self._pending = _Pending(claimed=self._pending.claimed)
        self._listener(self.counts)

    def _note_folder(self, folder: UnreadableFolder) -> None:
        self._failed_folders.append(folder)

    def _settle_missing(
        self, source: Source, missing: list[KnownFile], prune: bool, writer: LibraryWriter
    ) -> None:
        """Files that the catalog has and the walk did not meet: gone, or only hidden from it."""
        hidden = tuple(folder.path for folder in self._failed_folders)
        gone = [
            known
            for known in missing
            if not known.path.startswith(hidden)
            and known.location_id not in self._pending.claimed
            and not os.path.lexists(source.root.path / known.path)
        ]
        located = [known.location_id for known in gone if known.location_id is not None]
        self.counts.removed += len(located)
        writer.forget_failures(
            source.root.id, [known.path for known in gone if known.location_id is None]
        )
        if prune and source.root.path.is_dir():
            writer.forget(located)
