"""Embedding all pictures anew, with another model, beside the embeddings that serve meanwhile."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from sqlalchemy.exc import DBAPIError

from encoders import Encoder
from indexer.committing import Committer, ProgressListener, RunningJob
from indexer.config import IndexConfig
from indexer.reading import ReadPicture, reading_ahead
from indexer.report import Counts
from indexer.scan import Compared
from storage.errors import LibraryError
from storage.files import known_files, list_roots
from storage.jobs import finish_job, start_job
from storage.library import Library
from storage.records import FailedFile, FileStat, KnownFile, RootRecord
from storage.sources.places import shown
from storage.spaces import activate_space, count_missing, embedded_among
from storage.write_faults import write_faults_explained
from storage.writer import LibraryWriter

MOST_NAMED = 1000
"""Pictures that can't be read are named up to this many, and counted beyond."""


@dataclass(frozen=True)
class Unread:
    """A file that could not be embedded anew, and nor could any other of the same picture."""

    path: str
    reason: str


@dataclass(frozen=True)
class ReindexReport:
    job: int
    status: str
    """done, interrupted, or incomplete: the old embeddings go on serving."""
    embedded: int
    missing: int
    """Pictures that can be found now, and could not with the new embeddings."""
    unread: list[Unread]
    seconds: float

    @property
    def switched(self) -> bool:
        return self.status == "done"


class ReindexJob:
    """Fills the encoder's space and then lets it serve. Stopped or killed, it goes on where it was
    when it is run again: what the space holds already is not read a second time."""

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
        self._unread: dict[int, Unread] = {}

    def run(self, *, switch_anyway: bool = False) -> ReindexReport:
        """switch_anyway: even if pictures would be found no more. Raises what the storage does."""
        began = time.monotonic()
        library, engine = self._library, self._library.engine
        with (
            write_faults_explained(library.data_dir),
            library.writer_beside("reindex", self._encoder.space) as writer,
        ):
            serving = library.active_space()
            if serving is None:
                raise LibraryError("The library is empty: index a folder first.")
            roots = list_roots(engine)
            names = [shown(root.path) for root in roots]
            job_id = start_job(engine, "reindex", self._encoder.space.checkpoint, names)
            job = RunningJob(library, writer, job_id)
            try:
                with Committer(job, self._encoder, self._config, self.counts) as committer:
                    for root in roots:
                        self._embed_root(root, committer)
                    committer.flush()
                    self._listener(self.counts)
                library.fold(writer, force=not self.stop.is_set())
                missing = count_missing(engine, writer.space.id, but_in=serving.id)
                status = self._status(missing, switch_anyway)
                if status == "done" and serving.id != writer.space.id:
                    activate_space(engine, writer.space)
            except BaseException as error:
                with contextlib.suppress(DBAPIError):
                    words = str(error) or type(error).__name__
                    finish_job(engine, job_id, "failed", asdict(self.counts), words)
                raise
            unread = self._still_missing(writer)
            told = None if status != "incomplete" else f"{missing:,} pictures could not be embedded"
            ended = "failed" if status == "incomplete" else status
            finish_job(engine, job_id, ended, asdict(self.counts), told)
        seconds = time.monotonic() - began
        return ReindexReport(job_id, status, self.counts.embedded, missing, unread, seconds)

    def _status(self, missing: int, switch_anyway: bool) -> str:
        if self.stop.is_set():
            return "interrupted"
        return "incomplete" if missing and not switch_anyway else "done"

    def _embed_root(self, root: RootRecord, committer: Committer) -> None:
        space_id = committer.job.writer.space.id
        work = self._not_embedded(root, space_id)
        with reading_ahead(
            self._library, space_id, self._encoder.preprocessor, self._config
        ) as ahead:
            results = ahead.in_order(root.path, work, self.stop.is_set)
            with contextlib.closing(results):
                for known, read in results:
                    assert known is not None
                    if read is not None:
                        self._take(root, known, read, committer)
                        committer.commit_when_due()

    def _not_embedded(self, root: RootRecord, space_id: int) -> Iterator[Compared]:
        for known in known_files(self._library.engine, root.id, space_id):
            if known.location_id is None or known.embedded:
                continue
            stat = FileStat(root.id, known.path, known.size_bytes, known.mtime_ns)
            yield Compared("changed", stat, known)

    def _take(
        self,
        root: RootRecord,
        known: KnownFile,
        read: ReadPicture | FailedFile,
        committer: Committer,
    ) -> None:
        self.counts.seen += 1
        if isinstance(read, FailedFile):
            self._note(root, known, read.reason)
        elif read.image_id != known.image_id:
            self._note(root, known, "holds another picture than was indexed; index it first")
        elif read.image is not None and read.pixels is not None:
            committer.batch.images[read.sha256] = read.image  # facts that were not read before
            committer.embed(read.sha256, read.pixels)
        self._listener(self.counts)

    def _note(self, root: RootRecord, known: KnownFile, reason: str) -> None:
        self.counts.failed += 1
        if known.image_id is not None and len(self._unread) < MOST_NAMED:
            self._unread[known.image_id] = Unread(shown(root.path / known.path), reason)

    def _still_missing(self, writer: LibraryWriter) -> list[Unread]:
        """A picture may have been read from another file that holds it."""
        there = embedded_among(self._library.engine, writer.space.id, list(self._unread))
        return [each for image_id, each in self._unread.items() if image_id not in there]
