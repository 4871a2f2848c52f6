"""What a search looks at: one index generation, the tail that is newer, and what is masked.

A snapshot never changes. `SnapshotReader` makes a new one when the catalog has moved on; requests
that hold the old one finish on it.
"""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, select

from storage.catalog.schema import Counter, Embedding, Image, Shard
from storage.records import SpaceRecord
from storage.shards import read_shard
from storage.vector_index import Manifest, load_index, read_manifest

SCORE_DECIMALS = 6
"""Scores are rounded, so that a picture keeps its place when it goes from the tail, which NumPy
adds up, into the index, which FAISS adds up in another order."""
TIE_SLACK = 8
FLOAT16_OF_NOTHING = np.empty((0, 0), dtype=np.float16)


@dataclass(frozen=True)
class Nearest:
    """The best first; ties by id. Shapes (n,)."""

    image_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    exact: bool


@dataclass(frozen=True)
class Snapshot:
    """One consistent state of a space. Safe to use from many threads at once."""

    dim: int
    commit: int
    manifest: Manifest | None
    index: faiss.Index | None
    tail_ids: NDArray[np.int64]
    """Ascending, (n,)."""
    tail: NDArray[np.float16]
    """(n, dim)"""
    masked: NDArray[np.int64]
    """Deleted images, ascending."""
    tail_shards: tuple[int, ...] = field(default=())

    @cached_property
    def image_ids(self) -> NDArray[np.int64]:
        """Pictures that can be found, ascending."""
        there = np.union1d(self._indexed_ids, self.tail_ids)
        return np.setdiff1d(there, self.masked, assume_unique=True)

    def nearest(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None = None
    ) -> Nearest:
        """The `limit` images of highest cosine with `query`, shape (dim,).

        allowed: only these image ids, ascending; None for all.
        """
        ids, scores = self._search_index(query, limit, allowed)
        tail_ids, tail_scores = self._search_tail(query, limit, allowed)
        # An image that was deleted and came back can stand in both until the next generation.
        fresh = ~np.isin(tail_ids, ids, assume_unique=True)
        ids = np.concatenate([ids, tail_ids[fresh]])
        scores = np.concatenate([scores, tail_scores[fresh]])
        best = np.lexsort((ids, -scores))[:limit]
        return Nearest(ids[best], scores[best], exact=True)

    def embedding(self, image_id: int) -> NDArray[np.float32] | None:
        """(dim,) of L2 norm 1; None for an image that can't be found here."""
        if np.isin(image_id, self.masked).item():
            return None
        at = int(np.searchsorted(self.tail_ids, image_id))
        if at < len(self.tail_ids) and self.tail_ids[at] == image_id:
            return _normalised(self.tail[at].astype(np.float32))
        if self.index is None:
            return None
        try:
            return _normalised(np.asarray(self.index.reconstruct(int(image_id))))
        except RuntimeError:  # how FAISS says that it has no such id
            return None

    def sample(self, count: int) -> NDArray[np.float32]:
        """(n, dim) embeddings of at most `count` pictures, the same ones every time."""
        ids = self.image_ids
        if len(ids) > count:
            ids = np.random.default_rng(0).choice(ids, count, replace=False)
        rows = (self.embedding(int(image_id)) for image_id in ids)
        found = [row for row in rows if row is not None]
        return np.stack(found) if found else np.empty((0, self.dim), dtype=np.float32)

    @cached_property
    def _indexed_ids(self) -> NDArray[np.int64]:
        if self.index is None:
            return np.empty(0, dtype=np.int64)
        ids: NDArray[np.int64] = faiss.vector_to_array(self.index.id_map)  # type: ignore[attr-defined]
        return ids

    def _search_index(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if self.index is None or not self.index.ntotal:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        selector: faiss.IDSelector | None = None
        if allowed is not None:
            keep = np.setdiff1d(allowed, self.masked, assume_unique=True)
            selector = faiss.IDSelectorBatch(keep)
        elif len(self.masked):
            selector = faiss.IDSelectorNot(faiss.IDSelectorBatch(self.masked))
        parameters = faiss.SearchParameters(sel=selector) if selector else None  # type: ignore[call-arg]
        wanted = limit
        while True:
            # FAISS breaks ties as it likes: look on until the last place's ties are all there.
            wanted = min(wanted + TIE_SLACK, self.index.ntotal)
            found, found_ids = self.index.search(query[np.newaxis], wanted, params=parameters)
            there = found_ids[0] >= 0
            ids, scores = found_ids[0][there], found[0][there].round(SCORE_DECIMALS)
            if len(ids) < wanted or wanted == self.index.ntotal or scores[-1] < scores[limit - 1]:
                return ids, scores
            wanted *= 2

    def _search_tail(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        keep = ~np.isin(self.tail_ids, self.masked, assume_unique=True)
        if allowed is not None:
            keep &= np.isin(self.tail_ids, allowed, assume_unique=True)
        ids = self.tail_ids[keep]
        scores = (self.tail[keep].astype(np.float32) @ query).round(SCORE_DECIMALS)
        if len(ids) > limit:
            # Keep every tie of the last place, so that the order by id decides among them.
            last = np.partition(scores, len(scores) - limit)[len(scores) - limit]
            best = scores >= last
            ids, scores = ids[best], scores[best]
        return ids, scores


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

    def current(self) -> Snapshot:
        """The newest committed state. Costs one small query when nothing has changed."""
        with self._engine.connect() as connection:
            commit = _commit_count(connection)
        manifest = read_manifest(self.index_folder)
        held = self._snapshot
        if held is not None and held.commit == commit and held.manifest == manifest:
            return held
        with self._lock:
            self._snapshot = self._refresh(self._snapshot, manifest)
            return self._snapshot

    def _refresh(self, held: Snapshot | None, manifest: Manifest | None) -> Snapshot:
        if manifest is not None and manifest.fingerprint != self._space.fingerprint:
            manifest = None
        if held is not None and held.manifest == manifest:
            index = held.index
        else:
            index = load_index(self.index_folder, manifest) if manifest else None
            manifest = manifest if index is not None else None
        covered = manifest.last_shard_id if manifest else 0
        with self._engine.connect() as connection:
            # One read transaction, so that shards, rows and the mask belong together.
            commit = _commit_count(connection)
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
            [kept[1].reshape(-1, self._space.dim), *(block[1] for block in blocks)]
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


def _kept_tail(
    held: Snapshot | None, manifest: Manifest | None, shard_ids: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.float16], tuple[int, ...]]:
    """What of the tail in memory still stands: all of it, if shards were only added."""
    if (
        held is not None
        and held.manifest == manifest
        and list(held.tail_shards) == shard_ids[: len(held.tail_shards)]
    ):
        return held.tail_ids, held.tail, held.tail_shards
    return np.empty(0, dtype=np.int64), FLOAT16_OF_NOTHING, ()


def _commit_count(connection: Connection) -> int:
    return int(
        connection.execute(select(Counter.value).where(Counter.name == "commit")).scalar_one()
    )


def _normalised(row: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = row / np.linalg.norm(row)
    return unit


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
