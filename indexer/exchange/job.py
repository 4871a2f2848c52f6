"""An import from its files to its report: as indexing does it, only that nothing is embedded."""

import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders import Encoder
from indexer.config import IndexConfig
from indexer.decoding.no_pixels import NoPixels
from indexer.exchange.finding import Finder
from indexer.exchange.places import Places, root_of
from indexer.exchange.proof import require_same_model, survey
from indexer.reading import ReadPicture, reading_ahead
from storage.exchange.errors import ExchangeError
from storage.exchange.known import known_at
from storage.exchange.reading import Block, Incoming, IncomingPicture
from storage.files import collection_id, list_roots
from storage.jobs import finish_job, start_job
from storage.library import Library
from storage.records import Batch, FailedFile, FileStat, IndexedFile, KnownFile, RootRecord
from storage.sources.container_table import UNKNOWN_SIZE
from storage.writer import LibraryWriter


@dataclass
class ImportCounts:
    """seen = imported + unchanged + missing + changed + failed."""

    seen: int = 0
    imported: int = 0
    unchanged: int = 0
    """Files that the library has already, with their embedding."""
    missing: int = 0
    """Pictures that are not where image_path says."""
    changed: int = 0
    """Files that hold something else than what was embedded."""
    failed: int = 0


@dataclass(frozen=True)
class ImportReport:
    job: int
    status: str
    """done or interrupted."""
    counts: ImportCounts
    seconds: float
    cosine: float | None
    """Of a sample embedded anew with what was given; None where a fingerprint proved the model."""


@dataclass(frozen=True)
class _Wanted:
    """One row whose file is to be read."""

    picture: IncomingPicture
    embedding: NDArray[np.float32]
    root: RootRecord
    stat: FileStat
    known: KnownFile | None


class ImportJob:
    """Runs one import. `stop` may be set from a signal handler: what was read is committed."""

    def __init__(self, library: Library, encoder: Encoder, config: IndexConfig) -> None:
        self._library = library
        self._encoder = encoder
        self._config = config
        self._finder = Finder(config.exclude)
        self._collections: dict[str, int] = {}
        """Ids by name."""
        self.counts = ImportCounts()
        self.stop = threading.Event()

    def run(
        self,
        incoming: Incoming,
        source: Path,
        *,
        base: Path | None = None,
        collection: str | None = None,
    ) -> ImportReport:
        """base: where relative paths begin. Raises ExchangeError before anything is written, and
        what the storage raises."""
        began = time.monotonic()
        space, engine = self._encoder.space, self._library.engine
        if incoming.fingerprint not in (None, space.fingerprint):
            raise ExchangeError(
                f"{source} was made with {incoming.checkpoint} (fingerprint "
                f"{str(incoming.fingerprint)[:12]}); the library's model is {space.checkpoint} "
                f"({space.fingerprint[:12]}). Embeddings of two models do not compare."
            )
        places = Places(base, list_roots(engine))
        surveyed = survey(incoming, places, self._finder, space.dim)
        cosine = None
        if incoming.fingerprint is None and surveyed.there:
            cosine = require_same_model(self._library, self._encoder, self._config, surveyed)
        with self._library.writer("import", space) as writer:
            roots = places.register(engine, collection)
            job_id = start_job(engine, "import", space.checkpoint, [str(source)])
            try:
                for batch in self._batches(incoming, (places, roots), collection, writer):
                    writer.commit(batch, job_id, asdict(self.counts))
                    self._library.fold(writer)
                    if self.stop.is_set():
                        break
                self._library.fold(writer, force=self._library.manifest(writer.space) is None)
            except BaseException as error:
                words = str(error) or type(error).__name__
                finish_job(engine, job_id, "failed", asdict(self.counts), words)
                raise
            status = "interrupted" if self.stop.is_set() else "done"
            finish_job(engine, job_id, status, asdict(self.counts))
        return ImportReport(job_id, status, self.counts, time.monotonic() - began, cosine)

    def _batches(
        self,
        incoming: Incoming,
        places_and_roots: tuple[Places, list[RootRecord]],
        collection: str | None,
        writer: LibraryWriter,
    ) -> Iterator[Batch]:
        """One for each commit."""
        config = self._config
        preprocessor = NoPixels(self._encoder.min_decode_side)
        with reading_ahead(self._library, writer.space.id, preprocessor, config) as ahead:
            for block in incoming.blocks(self._encoder.space.dim):
                rows = iter(self._to_read(block, places_and_roots, writer.space.id))
                while group := list(islice(rows, config.commit_images)):
                    files = [(each.root.path, each.stat, each.known) for each in group]
                    yield self._batch(zip(group, ahead.all_of(files), strict=True), collection)

    def _to_read(
        self,
        block: Block,
        places_and_roots: tuple[Places, list[RootRecord]],
        space_id: int,
    ) -> list[_Wanted]:
        """The rows of a block whose files are there, and not in the library yet."""
        places, roots = places_and_roots
        wanted: list[_Wanted] = []
        paths: dict[int, list[str]] = {}
        for picture, embedding in zip(block.pictures, block.embeddings, strict=True):
            self.counts.seen += 1
            found = self._finder.find(places.absolute(picture))
            root = None if found is None else root_of(roots, found)
            if found is None or root is None:
                self.counts.missing += 1
                continue
            stat = found.within(root)
            wanted.append(_Wanted(picture, embedding, root, stat, None))
            paths.setdefault(stat.root_id, []).append(stat.path)
        known = {
            (root_id, file.path): file
            for root_id, here in paths.items()
            for file in known_at(self._library.engine, root_id, space_id, here).values()
        }
        there = [replace(each, known=known.get((each.root.id, each.stat.path))) for each in wanted]
        fresh = [each for each in there if not _is_up_to_date(each)]
        self.counts.unchanged += len(there) - len(fresh)
        return fresh

    def _batch(
        self,
        read: Iterator[tuple[_Wanted, ReadPicture | FailedFile]],
        collection: str | None,
    ) -> Batch:
        batch = Batch()
        for wanted, picture in read:
            if isinstance(picture, FailedFile):
                self.counts.failed += 1
                batch.failures.append(picture)
                continue
            if wanted.picture.sha256 not in (None, picture.sha256):
                self.counts.changed += 1
                continue
            self.counts.imported += 1
            if picture.image is not None:
                batch.images[picture.sha256] = picture.image
            batch.embeddings[picture.sha256] = wanted.embedding
            into = self._collection(wanted, collection)
            texts = tuple(dict.fromkeys([*picture.texts, *wanted.picture.texts]))
            batch.files.append(IndexedFile(picture.stat, into, picture.sha256, texts=texts))
        return batch

    def _collection(self, wanted: _Wanted, collection: str | None) -> int:
        """The one asked for, else the file's own, the one that the import names, its root's."""
        name = collection
        if name is None and wanted.known is not None and wanted.known.collection_id is not None:
            return wanted.known.collection_id
        name = name or wanted.picture.collection
        if name is None:
            return wanted.root.collection_id
        if name not in self._collections:
            with self._library.engine.begin() as connection:
                self._collections[name] = collection_id(connection, name)
        return self._collections[name]


def _is_up_to_date(wanted: _Wanted) -> bool:
    known, stat = wanted.known, wanted.stat
    return (
        known is not None
        and known.embedded
        and known.mtime_ns == stat.mtime_ns
        and stat.size_bytes in (known.size_bytes, UNKNOWN_SIZE)
    )
