"""One file → what the commit needs of it, by way of a decode worker."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from sqlalchemy import Engine

from encoders import Preprocessed, Preprocessor
from imaging.workers import Worker, WorkerLost
from indexer.config import IndexConfig
from indexer.decoding.messages import (
    DecodeSetup,
    FileRead,
    FileToRead,
    LibraryFault,
    PictureDecoded,
    Unreadable,
)
from indexer.decoding.pool import DecodePool
from indexer.file_dates import with_file_date
from indexer.scan import Compared
from storage.library import Library
from storage.pictures import find_image
from storage.records import FailedFile, FileStat, KnownFile, NewImage, PictureText

TRANSIENT_KINDS = frozenset({"out_of_reach", "changed_while_read"})
"""Failures that say nothing about the file's content: tried again in every job."""

_SIGKILL, _SIGALRM = 9, 14


@dataclass(frozen=True)
class ReadPicture:
    """A file that was read. `pixels` is None when its embedding is in the library already."""

    stat: FileStat
    sha256: bytes
    image_id: int | None
    """The image's id, if the catalog knew it when the file was read."""
    image: NewImage | None
    pixels: Preprocessed | None
    texts: tuple[PictureText, ...]
    """Words that stand beside the file."""


@dataclass
class _Met:
    """How far a file has come."""

    stat: FileStat
    was_read: bool = False
    holds_something_else: bool = False
    """Other content than the catalog has of this place."""


@dataclass(frozen=True)
class PictureReader:
    """Has files read by workers, and spares them the decoding of what the library knows.

    Many threads may read at once. They wait; the workers work.
    """

    engine: Engine
    space_id: int
    workers: DecodePool
    seconds: float

    def read(self, root: Path, stat: FileStat, known: KnownFile | None) -> ReadPicture | FailedFile:
        """Never raises for what is in the file, nor for a file that can't be reached.

        Raises OSError when the library can't take a thumbnail; DecodersUnavailable.
        """
        met = _Met(stat)
        try:
            with self.workers.worker() as worker:
                return self._read(worker, FileToRead(root, stat), known, met)
        except WorkerLost as lost:
            if lost.signal_number == _SIGALRM:  # it has noticed before us
                return self._too_slow(met)
            return _failed(met, "decoder_crashed", _why_lost(lost))
        except TimeoutError:
            return self._too_slow(met)

    def _too_slow(self, met: _Met) -> FailedFile:
        if met.was_read:
            kind, reason = "too_slow", "takes longer to decode than"
        else:
            kind, reason = "out_of_reach", "can't be read: its disk or network did not answer in"
        return _failed(met, kind, f"{reason} {self.seconds:g} s (raise decode_seconds)")

    def _read(
        self, worker: Worker, wanted: FileToRead, known: KnownFile | None, met: _Met
    ) -> ReadPicture | FailedFile:
        began = monotonic()
        read: FileRead | Unreadable = worker.ask(wanted, began + self.seconds)
        if isinstance(read, Unreadable):
            return FailedFile(met.stat, read.kind, read.reason, read.content_is_bad)
        spent = monotonic() - began
        met.stat, met.was_read = read.stat, True
        found = find_image(self.engine, read.sha256, self.space_id)
        image_id, embedded = found or (None, False)
        met.holds_something_else = known is None or known.image_id != image_id
        if embedded:
            worker.tell(False)
            return ReadPicture(read.stat, read.sha256, image_id, None, None, read.texts)
        answer: PictureDecoded | Unreadable | LibraryFault = worker.ask(
            True, monotonic() + self.seconds - spent
        )
        if isinstance(answer, LibraryFault):
            raise answer.error
        if isinstance(answer, Unreadable):
            bad = answer.content_is_bad or met.holds_something_else
            return FailedFile(read.stat, answer.kind, answer.reason, bad)
        image = with_file_date(answer.image, read.stat)
        return ReadPicture(read.stat, read.sha256, image_id, image, answer.pixels, read.texts)


def _failed(met: _Met, kind: str, reason: str) -> FailedFile:
    """Nobody knows what is wrong with it. A place loses its picture only if it holds another."""
    return FailedFile(met.stat, kind, reason, content_is_bad=met.holds_something_else)


def _why_lost(lost: WorkerLost) -> str:
    if lost.signal_number == _SIGKILL:
        return (
            "could not be decoded: the process at it was killed, most likely because memory ran "
            "out (try again with fewer --workers and --retry-failed)"
        )
    what = "it is damaged in a way that the decoder does not survive"
    return f"crashes its decoder ({lost.how}); {what}"


class ReadAhead:
    """Files are read side by side, some of them before they are asked for. Made by
    `reading_ahead`."""

    def __init__(self, reader: PictureReader, threads: ThreadPoolExecutor, ahead: int) -> None:
        """ahead: files, at most, that were read or are being read and were not asked for."""
        self._reader = reader
        self._threads = threads
        self._ahead = ahead

    def in_order(
        self, root: Path, work: Iterable[Compared], stopped: Callable[[], bool]
    ) -> Generator[tuple[KnownFile | None, ReadPicture | FailedFile | None], None, None]:
        """None for a file that was not looked at after all, because the job is to stop."""
        waiting: deque[tuple[KnownFile | None, Future[ReadPicture | FailedFile]]] = deque()
        try:
            for compared in work:
                assert compared.found is not None
                known = compared.known
                future = self._threads.submit(self._reader.read, root, compared.found, known)
                waiting.append((known, future))
                self._reader.workers.expect(len(waiting))
                if len(waiting) >= self._ahead:
                    first, future = waiting.popleft()
                    yield first, future.result()
                if stopped():
                    break
            while waiting:
                first, future = waiting.popleft()
                yield first, None if stopped() and future.cancel() else future.result()
        except BaseException:
            for _, future in waiting:
                future.cancel()
            self._reader.workers.give_up()
            raise

    def all_of(
        self, files: Sequence[tuple[Path, FileStat, KnownFile | None]]
    ) -> Iterator[ReadPicture | FailedFile]:
        """Roots, places below them, and what is known of them → what was read, in their order."""
        self._reader.workers.expect(len(files))
        return self._threads.map(lambda file: self._reader.read(*file), files)


@contextmanager
def reading_ahead(
    library: Library, space_id: int, preprocessor: Preprocessor, config: IndexConfig
) -> Iterator[ReadAhead]:
    """Within it a job's files are read and decoded, by as many workers as are configured."""
    setup = DecodeSetup(config.limits, preprocessor, library.thumbnails, config.decode_seconds)
    with (
        DecodePool(setup, config.workers) as workers,
        ThreadPoolExecutor(config.workers, "read") as threads,
    ):
        reader = PictureReader(library.engine, space_id, workers, config.decode_seconds)
        yield ReadAhead(reader, threads, config.batch_size + 2 * config.workers)
