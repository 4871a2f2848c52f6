"""Keeps what searches look at current, from the catalog, the shards and the index's generations."""

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, select

from storage.catalog.schema import Counter, Embedding, Image, Shard
from storage.index.loaded_index import LoadedIndex
from storage.index.shards import read_shard
from storage.index.snapshot import Snapshot
from storage.index.vector_index import Manifest, open_index, read_manifest
from storage.records import SpaceRecord
from storage.spaces import check_serving


class SnapshotReader:
    """Keeps a snapshot of one space current. One for a process; threads share it."""

    def __init__(
        self, engine: Engine, space: SpaceRecord, shard_folder: Path, index_folder: Path
    ) -> None:
        self._engine = engine
        self._space = space
        self.shard_folder = shard_folder
        self.index_folder = index_folder
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._opens_beside = False
        self._opening: Manifest | None = None
        self._opened: tuple[Manifest, LoadedIndex | None] | None = None

    def open_beside(self) -> None:
        """For a server: from now on a new generation is made ready in a thread of its own.

        Until it is, searches go on with the one before it and a longer tail.
        """
        self._opens_beside = True

    def current(self) -> Snapshot:
        """The newest committed state. Costs one small query when nothing has changed."""
        with self._engine.connect() as connection:
            commit = _commit_count(connection)
        manifest = read_manifest(self.index_folder)
        held = self._snapshot
        if (
            held is not None
            and held.commit == commit
            and (held.manifest == manifest or self._waits_for(manifest))
        ):
            return held
        with self._lock:
            self._snapshot = self._refresh(self._snapshot, manifest)
            return self._snapshot

    def _refresh(self, held: Snapshot | None, manifest: Manifest | None) -> Snapshot:
        if manifest is not None and manifest.fingerprint != self._space.fingerprint:
            manifest = None
        index, manifest = self._index_for(held, manifest)
        covered = manifest.last_shard_id if manifest else 0
        with self._engine.connect() as connection:
            # One read transaction, so that shards, rows and the mask belong together.
            commit = _commit_count(connection)
            check_serving(connection, self._space)
            shards = connection.execute(
                select(Shard.id, Shard.name)
                .where(Shard.space_id == self._space.id, Shard.id > covered)
                .order_by(Shard.id)
            ).all()
            masked = connection.execute(
                select(Image.id).where(Image.deleted_at.is_not(None)).order_by(Image.id)
            ).scalars()
            masked_ids = np.fromiter(masked, dtype=np.int64)
        kept = _kept_tail(held, manifest, [shard.id for shard in shards])
        new = shards[len(kept[2]) :]
        blocks = [read_shard(self.shard_folder, shard.name) for shard in new]
        ids = np.concatenate([kept[0], *(block[0] for block in blocks)])
        rows = np.concatenate(
            [kept[1].reshape(-1, self._space.dim), *(block[1] for block in blocks)],
            dtype=np.float32,
        )
        ids, first = np.unique(ids, return_index=True)
        return Snapshot(
            dim=self._space.dim,
            commit=commit,
            manifest=manifest,
            index=index,
            tail_ids=ids,
            tail=rows[first],
            masked=masked_ids,
            tail_shards=tuple(shard.id for shard in shards),
        )

    def _index_for(
        self, held: Snapshot | None, manifest: Manifest | None
    ) -> tuple[LoadedIndex | None, Manifest | None]:
        """The generation to search: that of the manifest, or the one before while it is opened."""
        if manifest is None:
            return None, None
        if held is not None and (held.manifest == manifest or self._waits_for(manifest)):
            return held.index, held.manifest
        if self._opened is not None and self._opened[0] == manifest:
            index = self._opened[1]
        elif self._opens_beside and held is not None and held.index is not None:
            self._begin_to_open(manifest)
            return held.index, held.manifest
        else:
            index = open_index(self.index_folder, manifest)
        return (None, None) if index is None else (index, manifest)

    def _waits_for(self, manifest: Manifest | None) -> bool:
        """Whether searches go on with the generation before this one."""
        return manifest is not None and self._opening == manifest

    def _begin_to_open(self, manifest: Manifest) -> None:
        self._opening = manifest

        def open_it() -> None:
            index = None
            try:
                index = open_index(self.index_folder, manifest)
                if index is not None:
                    index.prepare()
            finally:
                with self._lock:
                    if self._opening == manifest:
                        self._opened, self._opening = (manifest, index), None

        threading.Thread(target=open_it, name="open-index", daemon=True).start()


def _kept_tail(
    held: Snapshot | None, manifest: Manifest | None, shard_ids: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32], tuple[int, ...]]:
    """What of the tail in memory still stands: all of it, if shards were only added."""
    if (
        held is not None
        and held.manifest == manifest
        and list(held.tail_shards) == shard_ids[: len(held.tail_shards)]
    ):
        return held.tail_ids, held.tail, held.tail_shards
    return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32), ()


def _commit_count(connection: Connection) -> int:
    return int(
        connection.execute(select(Counter.value).where(Counter.name == "commit")).scalar_one()
    )


def tail_count(engine: Engine, space_id: int, covered: int) -> int:
    """Rows in shards that the generation does not cover."""
    with engine.connect() as connection:
        return int(
            connection.execute(
                select(func.count())
                .select_from(Embedding)
                .where(Embedding.space_id == space_id, Embedding.shard_id > covered)
            ).scalar_one()
        )
