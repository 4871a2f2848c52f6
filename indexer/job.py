"""An indexing job from its sources to its report."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from encoders import Encoder
from indexer.committing import Committer, ProgressListener, RunningJob
from indexer.config import IndexConfig
from indexer.filing import Filing
from indexer.reading import TRANSIENT_KINDS, ReadPicture, reading_ahead
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


@dataclass(frozen=True)
class _Compared:
    """What came out beside the work, as one source was compared with the catalog."""

    missing: list[KnownFile] = field(default_factory=list)
    """Files that the catalog has and the walk did not meet: gone, or only hidden from it."""
    failed_folders: list[Unreadable] = field(default_factory=list)
    reassigned: list[int] = field(default_factory=list)
    """Locations that are to be of another collection."""

    def missing_but(self, claimed: set[int], root: Path) -> list[KnownFile]:
        """What is gone for certain. claimed: locations that moved files have taken over."""
        hidden = tuple(folder.path for folder in self.failed_folders)
        return [
            known
            for known in self.missing
            if not known.path.startswith(hidden)
            and known.location_id not in claimed
            and (_is_folder(known) or location_is_gone(root, known.path))
        ]


class IndexJob:
    """Runs one request. `stop` may be set from a signal handler: the batch in flight is finished
    and committed, and the job ends as interrupted. `after_commit` is called, by the thread that
    runs the job, when a batch was committed."""

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
        self._after_commit = after_commit
        self._kept_back: list[Path] = []
        """Roots that are empty or gone, whose pictures were not forgotten therefore."""

    def run(self, request: IndexRequest) -> JobReport:
        """Raises SourceError before anything is done, and what the storage raises."""
        began = time.monotonic()
        library = self._library
        named = find_sources(request.sources, request.listed)
        with (
            write_faults_explained(library.data_dir),
            library.writer("index", self._encoder.space) as writer,
        ):
            sources = register_sources(library.engine, named, request.collection)
            names = [str(each) for each in named]
            job_id = start_job(library.engine, "index", self._encoder.space.checkpoint, names)
            job = RunningJob(library, writer, job_id)
            try:
                with Committer(job, self._encoder, self._config, self.counts) as committer:
                    filing = Filing(library, committer, self.counts)
                    for source in sources:
                        self._index_source(source, request, committer, filing)
                library.fold(writer, force=library.manifest(writer.space) is None)
            except BaseException as error:
                words = str(error) or type(error).__name__
                # Where the disk is full this can't be written either; the next writer finds a job
                # without a process, and says so.
                with contextlib.suppress(DBAPIError):
                    self._close_job(job_id, "failed", words)
                raise
            status = "interrupted" if self.stop.is_set() else "done"
            self._close_job(job_id, status, None)
        return JobReport(
            job_id,
            status,
            self.counts,
            time.monotonic() - began,
            request.prune and not self._kept_back,
            kept_back=tuple(self._kept_back),
            encoder_seconds=committer.encoder_seconds,
        )

    def _close_job(self, job_id: int, status: str, error: str | None) -> None:
        finish_job(self._library.engine, job_id, status, asdict(self.counts), error)

    def _index_source(
        self, source: Source, request: IndexRequest, committer: Committer, filing: Filing
    ) -> None:
        writer = committer.job.writer
        compared = _Compared()
        into = source.root.collection_id
        if request.collection is not None:
            with self._library.engine.begin() as connection:
                into = collection_id(connection, request.collection)
        work = self._files_to_read(source, request, (writer.space.id, into), compared)
        with reading_ahead(
            self._library, writer.space.id, self._encoder.preprocessor, self._config
        ) as ahead:
            results = ahead.in_order(source.root.path, work, self.stop.is_set)
            # Closed first when something fails, so that nobody waits for what is being read.
            with contextlib.closing(results):
                for known, read in results:
                    self._take(filing, known, read, into)
                    if committer.commit_when_due():
                        self._after_commit()
        for folder in compared.failed_folders:
            stat = FileStat(source.root.id, folder.path, 0, 0)
            filing.take_failure(FailedFile(stat, "out_of_reach", folder.reason, False))
            self.counts.seen += 1
        if committer.flush():
            self._after_commit()
        self._listener(self.counts)
        # The catalog has one writer at a time: what stays here waited for the commits.
        if compared.reassigned:
            writer.assign_collection(compared.reassigned, into)
        if not self.stop.is_set():
            gone = compared.missing_but(filing.claimed, source.root.path)
            self._settle_missing(source, gone, request.prune, writer)

    def _take(
        self,
        filing: Filing,
        known: KnownFile | None,
        read: ReadPicture | FailedFile | None,
        into: int,
    ) -> None:
        if read is None:
            self.counts.seen -= 1  # the next run will look at it
        elif isinstance(read, FailedFile):
            filing.take_failure(read)
        else:
            filing.take(read, known, into)
        self._listener(self.counts)

    def _files_to_read(
        self,
        source: Source,
        request: IndexRequest,
        space_and_collection: tuple[int, int],
        met: _Compared,
    ) -> Iterator[Compared]:
        """New and changed files; counts the others, and gathers what is missing."""
        space_id, into = space_and_collection
        known_files = known_below(self._library.engine, source, space_id)
        for compared in pictures_compared(
            source, known_files, self._config.exclude, met.failed_folders.append
        ):
            if self.stop.is_set():
                break
            found, known = compared.found, compared.known
            if found is None:
                assert known is not None
                met.missing.append(known)
                continue
            self.counts.seen += 1
            if compared.verdict == "unchanged" and known is not None:
                self.counts.unchanged += 1
                if request.collection is not None and known.collection_id != into:
                    assert known.location_id is not None
                    met.reassigned.append(known.location_id)
            elif compared.verdict == "failed_before" and not (
                request.retry_failed or (known and known.failure_kind in TRANSIENT_KINDS)
            ):
                self.counts.failed += 1
            else:
                yield compared
            self._listener(self.counts)

    def _settle_missing(
        self, source: Source, gone: list[KnownFile], prune: bool, writer: LibraryWriter
    ) -> None:
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
