"""The library on disk: where everything lies, and the way in."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, func, insert, literal, select

from storage.atomic import sweep_temporaries
from storage.catalog.database import open_database
from storage.catalog.schema import Counter, Embedding, Shard
from storage.errors import LibraryNotFound
from storage.index.shards import read_shard
from storage.index.snapshot_reader import SnapshotReader, tail_count
from storage.index.vector_index import (
    MANIFEST,
    Manifest,
    build_generation,
    is_as_chosen,
    read_manifest,
)
from storage.jobs import mark_dead_jobs
from storage.lock import writer_lock
from storage.priority import giving_way
from storage.records import SpaceFacts, SpaceRecord
from storage.spaces import (
    active_space,
    create_space,
    forget_space,
    require_same_space,
    space_beside,
)
from storage.thumbnails import Thumbnails
from storage.words.word_rows import complete_words
from storage.write_faults import write_faults_explained
from storage.writer import LibraryWriter

FOLD_ROWS = 1000
FOLD_SHARE = 0.05
"""A new generation is built when the tail has more rows than both of these say (the second is a
share of what is indexed): a tail is searched exactly and costs little while it is short."""


class Library:
    """An open library. Readers may be many; writing goes through `writer`.

    data_dir holds `catalog.db`, `embeddings/<space>/`, `index/<space>/` and `thumbnails/`.
    """

    def __init__(self, data_dir: Path, engine: Engine) -> None:
        self.data_dir = data_dir
        self.engine = engine
        self.thumbnails = Thumbnails(data_dir / "thumbnails")

    @classmethod
    def open(cls, data_dir: Path, *, create: bool = False) -> "Library":
        """Raises LibraryNotFound, unless `create`; LibraryTooNew; CatalogUnusable;
        LibraryNotWritable."""
        data_dir = data_dir.absolute()
        catalog = data_dir / "catalog.db"
        if not catalog.exists():
            if not create:
                raise LibraryNotFound(
                    f"There is no library in {data_dir}. Make one by indexing a folder of "
                    "pictures (polyglance index FOLDER), or name another with --data-dir."
                )
            data_dir.mkdir(parents=True, exist_ok=True)
        engine = open_database(f"sqlite:///{catalog}", data_dir)
        with write_faults_explained(data_dir):
            _ensure_counters(engine)
        return cls(data_dir, engine)

    def close(self) -> None:
        self.engine.dispose()

    def active_space(self) -> SpaceRecord | None:
        return active_space(self.engine)

    def reader(self, space: SpaceRecord) -> SnapshotReader:
        return SnapshotReader(
            self.engine, space, self.shard_folder(space), self.index_folder(space)
        )

    @contextmanager
    def writer(self, purpose: str, facts: SpaceFacts) -> Iterator[LibraryWriter]:
        """Hold the write lock, with the encoder's space the active one.

        Raises LibraryBusy; SpaceMismatch when the library's embeddings are another model's.
        """
        with writer_lock(self.data_dir, purpose):
            space = active_space(self.engine)
            if space is None:
                space = create_space(self.engine, facts)
            require_same_space(space, facts, self.data_dir)
            yield self._writer_into(space)

    @contextmanager
    def writer_beside(self, purpose: str, facts: SpaceFacts) -> Iterator[LibraryWriter]:
        """Hold the write lock, with a space of the encoder's own beside the active one, or the
        active one itself. Raises LibraryBusy."""
        with writer_lock(self.data_dir, purpose):
            yield self._writer_into(space_beside(self.engine, facts))

    def _writer_into(self, space: SpaceRecord) -> LibraryWriter:
        mark_dead_jobs(self.engine)
        complete_words(self.engine)
        self._sweep(space)
        return LibraryWriter(self.engine, self.shard_folder(space), space)

    def remove_space(self, space: SpaceRecord) -> None:
        """Let a space go that does not serve: catalog, shards, index, golden files. Only under the
        write lock. Killed at any step, what is left is whole, or swept up by the doctor."""
        # An index outlives its shards only without its manifest: their numbers are given again.
        (self.index_folder(space) / MANIFEST).unlink(missing_ok=True)
        forget_space(self.engine, space)
        for folder in (self.shard_folder(space), self.index_folder(space)):
            shutil.rmtree(folder, ignore_errors=True)
        for name in (f"{space.fingerprint[:16]}.npz", f"{space.fingerprint[:16]}-background.npz"):
            (self.data_dir / "golden" / name).unlink(missing_ok=True)

    def fold(self, writer: LibraryWriter, *, force: bool = False) -> Manifest | None:
        """Build a new index generation when the tail has grown long; None when it has not.

        Only under the write lock, which `writer` stands for.
        """
        space = writer.space
        folder = self.index_folder(space)
        manifest = read_manifest(folder)
        if manifest is not None and not is_as_chosen(folder, manifest):
            manifest = None
        covered, indexed = (manifest.last_shard_id, manifest.count) if manifest else (0, 0)
        tail = tail_count(self.engine, space.id, covered)
        if not force and tail <= max(FOLD_ROWS, FOLD_SHARE * indexed):
            return None
        writer.purge_deleted()
        shards = self.shards(space)
        last = shards[-1][0] if shards else 0
        blocks = self._live_blocks(space, shards)
        # Whoever searches meanwhile goes first.
        return giving_way(
            lambda: build_generation(folder, space.fingerprint, space.dim, blocks, last)
        )

    def manifest(self, space: SpaceRecord) -> Manifest | None:
        return read_manifest(self.index_folder(space))

    def size_bytes(self) -> int:
        """What the library takes on disk."""
        return sum(path.stat().st_size for path in self.data_dir.rglob("*") if path.is_file())

    def _live_blocks(
        self, space: SpaceRecord, shards: list[tuple[int, str]]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Shard by shard, the rows that the catalog still names."""
        for shard_id, name in shards:
            image_ids, embeddings = read_shard(self.shard_folder(space), name)
            with self.engine.connect() as connection:
                named = connection.execute(
                    select(Embedding.row)
                    .where(Embedding.shard_id == shard_id, Embedding.space_id == space.id)
                    .order_by(Embedding.row)
                ).scalars()
                rows = np.fromiter(named, dtype=np.int64)
            if len(rows):
                yield image_ids[rows], embeddings[rows]

    def shards(self, space: SpaceRecord) -> list[tuple[int, str]]:
        with self.engine.connect() as connection:
            rows = connection.execute(
                select(Shard.id, Shard.name).where(Shard.space_id == space.id).order_by(Shard.id)
            )
            return [(row.id, row.name) for row in rows]

    def _sweep(self, space: SpaceRecord) -> None:
        """Remove shards that were written and never named, and half-written files."""
        folder = self.shard_folder(space)
        named = {name for _, name in self.shards(space)}
        for path in folder.glob("part-*.parquet"):
            if path.name not in named:
                path.unlink()
        sweep_temporaries(folder)
        sweep_temporaries(self.index_folder(space))
        self.thumbnails.sweep()

    def shard_folder(self, space: SpaceRecord) -> Path:
        return self.data_dir / "embeddings" / space.fingerprint[:16]

    def index_folder(self, space: SpaceRecord) -> Path:
        return self.data_dir / "index" / space.fingerprint[:16]


def _ensure_counters(engine: Engine) -> None:
    with engine.connect() as connection:
        if connection.execute(select(func.count()).select_from(Counter)).scalar_one():
            return
    with engine.begin() as connection:
        for name in ("commit", "image_id"):
            # Another process may be opening the new library as well.
            unless_there = ~select(Counter.name).where(Counter.name == name).exists()
            row = select(literal(name), literal(0)).where(unless_there)
            connection.execute(insert(Counter).from_select(["name", "value"], row))
