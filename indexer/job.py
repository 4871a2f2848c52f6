"""An indexing job from its sources to its report."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from encoders import Encoder
from indexer.committing import Committer, ProgressListener
from indexer.config import IndexConfig
from indexer.decoding.messages import DecodeSetup
from indexer.decoding.pool import DecodePool
from indexer.reading import TRANSIENT_KINDS, PictureReader, read_ahead
from indexer.report import Counts, IndexRequest, JobReport
from indexer.scan import Compared, known_below, pictures_compared
from indexer.sources.members import Unreadable
from indexer.sources.named import Source, find_sources, register_sources
from storage.files import collection_id
from storage.jobs import finish_job, start_job
from storage.library import Library
from storage.records import FailedFile, FileStat, KnownFile
from storage.sources.containers import location_is_gone
from storage.sources.places import holds_something
from storage.write_faults import write_faults_explained
from storage.writer import LibraryWriter


class IndexJob:
    """Runs one request. `stop` may be set from a signal handler: the batch in flight is finished
    and committed, and the job ends as interrupted. `after_commit` is called between batches."""

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        config: IndexConfig,
        listener: ProgressListener = lambda _: None,
        after_commit: Callable[[], object] = lambda: None,
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._config = config
        self._listener = listener
        self.counts = Counts()
        self.stop = threading.Event()
        self._committer = Committer(library, encoder, config, self.counts, listener)
        self._after_commit = after_commit
        self._failed_folders: list[Unreadable] = []
        self._kept_back: list[Path] = []
        """Roots that are empty or gone, whose pictures were not forgotten therefore."""

    def run(self, request: IndexRequest) -> JobReport:
        """Raises SourceError before anything is done, and what the storage raises."""
        began = time.monotonic()
        named = find_sources(request.sources, request.listed)
        with (
            write_faults_explained(self._library.data_dir),
            self._library.writer("index", self._encoder.space) as writer,
        ):
            sources = register_sources(self._library.engine, named, request.collection)
            names = [str(each) for each in named]
            job_id = start_job(self._library.engine, "index", self._encoder.space.checkpoint, names)
            try:
                for source in sources:
                    self._index_source(source, request, writer, job_id)
                self._committer.flush(writer, job_id)
                self._library.fold(writer, force=self._library.manifest(writer.space) is None)
            except BaseException as error:
                words = str(error) or type(error).__name__
                # Where the disk is full this can't be written either; the next writer finds a job
                # without a process, and says so.
                with contextlib.suppress(DBAPIError):
                    self._close_job(job_id, "failed", words)
                raise
            status = "interrupted" if self.stop.is_set() else "done"
            self._close_job(job_id, status, None)
        seconds = time.monotonic() - began
        return JobReport(
            job_id,
            status,
            self.counts,
            seconds,
            request.prune and not self._kept_back,
            kept_back=tuple(self._kept_back),
            encoder_seconds=self._committer.encoder_seconds,
        )

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
        work = self._files_to_read(source, request, (writer, into), missing)
        self._read_and_commit(source, work, (writer, into), job_id)
        for folder in self._failed_folders:
            stat = FileStat(source.root.id, folder.path, 0, 0)
            failed = FailedFile(stat, "out_of_reach", folder.reason, content_is_bad=False)
            self._committer.take_failure(failed)
            self.counts.seen += 1
        self._committer.flush(writer, job_id)
        if not self.stop.is_set():
            self._settle_missing(source, missing, request.prune, writer)
        self._failed_folders.clear()

    def _read_and_commit(
        self,
        source: Source,
        work: Iterator[Compared],
        writer_and_collection: tuple[LibraryWriter, int],
        job_id: int,
    ) -> None:
        writer, into = writer_and_collection
        config = self._config
        setup = DecodeSetup(
            config.limits,
            self._encoder.preprocessor,
            self._library.thumbnails,
            config.decode_seconds,
        )
        ahead = config.batch_size + 2 * config.workers
        with (
            DecodePool(setup, config.workers) as workers,
            ThreadPoolExecutor(config.workers, "read") as threads,
        ):
            reader = PictureReader(
                self._library.engine, writer.space.id, workers, config.decode_seconds
            )
            results = read_ahead(reader, source.root.path, work, threads, ahead, self.stop.is_set)
            # Closed first when something fails, so that nobody waits for what is being read.
            with contextlib.closing(results):
                for known, read in results:
                    if read is None:
                        self.counts.seen -= 1  # the next run will look at it
                    elif isinstance(read, FailedFile):
                        self._committer.take_failure(read)
                    else:
                        self._committer.take(read, known, into)
                    if self._committer.commit_when_due(writer, job_id):
                        self._after_commit()

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

    def _note_folder(self, folder: Unreadable) -> None:
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
            and known.location_id not in self._committer.claimed
            and (_is_folder(known) or location_is_gone(source.root.path, known.path))
        ]
        located = [known.location_id for known in gone if known.location_id is not None]
        self.counts.removed += len(located)
        writer.forget_failures(
            source.root.id, [known.path for known in gone if known.location_id is None]
        )
        if not prune or not located:
            return
        if holds_something(source.root.path):
            writer.forget(located)
        else:
            self._kept_back.append(source.root.path)


def _is_folder(failed: KnownFile) -> bool:
    """Whether a failure is that of a folder (or a container), which has been read since."""
    return not failed.path or failed.path.endswith("/")
