"""What a search looks at: one index generation, the tail that is newer, and what is masked.

A snapshot never changes. `SnapshotReader` makes a new one when the catalog has moved on; requests
that hold the old one finish on it.
"""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, select

from storage.catalog.schema import Counter, Embedding, Image, Shard
from storage.index.loaded_index import SCORE_ERROR, LoadedIndex
from storage.index.shards import read_shard
from storage.index.vector_index import Manifest, open_index, read_manifest
from storage.records import SpaceRecord
from storage.spaces import check_serving

SCORE_DECIMALS = 6
"""Scores are added up in float64 and rounded, so that a picture keeps its score and its place
wherever it stands: in the tail, in the index, alone or among others."""
EXACT_ROWS = 4096
"""Added up at a time, which bounds the memory of a query for very many hits."""


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
    index: LoadedIndex | None
    tail_ids: NDArray[np.int64]
    """Ascending, (n,)."""
    tail: NDArray[np.float32]
    """(n, dim), what the shards hold; as float32, which is what NumPy multiplies quickly."""
    masked: NDArray[np.int64]
    """Deleted images, ascending."""
    tail_shards: tuple[int, ...] = field(default=())

    @cached_property
    def image_ids(self) -> NDArray[np.int64]:
        """Pictures that can be found, ascending."""
        # After every commit this is made anew: what NumPy has for sets takes a second of a million.
        there = self.index.ascending_ids if self.index is not None else self._indexed_ids
        newer = self.tail_ids[~_are_among(self.tail_ids, there)]
        if len(newer):
            there = np.sort(np.concatenate([there, newer]), kind="stable")
        return there[~_are_among(there, self.masked)] if len(self.masked) else there

    def nearest(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None = None
    ) -> Nearest:
        """The `limit` images of highest cosine with `query`, shape (dim,).

        allowed: only these image ids, ascending; None for all.
        """
        indexed, exact = self._in_index(query, limit, allowed)
        near = [indexed, self._in_tail(query, limit, allowed)]
        # An image that was deleted and came back can stand in both until the next generation.
        ids, first = np.unique(np.concatenate([each[0] for each in near]), return_index=True)
        scores = np.concatenate([each[1] for each in near])[first]
        best = np.lexsort((ids, -scores))[:limit]
        return Nearest(ids[best], scores[best], exact)

    def embedding(self, image_id: int) -> NDArray[np.float32] | None:
        """(dim,) of L2 norm 1; None for an image that can't be found here."""
        if np.isin(image_id, self.masked).item():
            return None
        at = int(np.searchsorted(self.tail_ids, image_id))
        if at < len(self.tail_ids) and self.tail_ids[at] == image_id:
            return _normalised(self.tail[at])
        if self.index is None:
            return None
        row = self.index.rows_of(np.array([image_id], dtype=np.int64))
        return _normalised(self.index.embeddings(row)[0]) if len(row) else None

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
        return self.index.image_ids if self.index is not None else np.empty(0, dtype=np.int64)

    @cached_property
    def _shown_rows(self) -> NDArray[np.int64] | None:
        """The index's rows that are not masked; None when none is."""
        masked = np.isin(self._indexed_ids, self.masked)
        return np.flatnonzero(~masked) if masked.any() else None

    def _in_index(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None
    ) -> tuple[tuple[NDArray[np.int64], NDArray[np.float32]], bool]:
        """Ids and exact scores of the index's pictures that may be among the best, and whether
        none that is among them can be missing."""
        none = np.empty(0, dtype=np.float32)
        if self.index is None:
            return (np.empty(0, dtype=np.int64), none), True
        if allowed is None:
            rows = self._shown_rows
        else:
            shown = allowed[~_are_among(allowed, self.masked)] if len(self.masked) else allowed
            rows = self.index.rows_of(shown)
        found = self.index.candidates(query, limit, rows)
        parts = [found[at : at + EXACT_ROWS] for at in range(0, len(found), EXACT_ROWS)]
        scores = [_exact_scores(self.index.embeddings(part), query) for part in parts]
        exact = self.index.answers_exactly(limit, rows)
        return (self.index.image_ids[found], np.concatenate([none, *scores])), exact

    def _in_tail(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The same of the pictures that are newer than the index."""
        if not len(self.tail_ids):
            return self.tail_ids, np.empty(0, dtype=np.float32)
        scores = self.tail @ query
        # Rows that don't count are passed over by their scores: copying the others takes longer.
        if len(self.masked):
            scores[_are_among(self.tail_ids, self.masked)] = -np.inf
        if allowed is not None:
            scores[~_are_among(self.tail_ids, allowed)] = -np.inf
        last = -np.inf
        if len(scores) > limit:
            last = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        best = np.flatnonzero((scores >= last - SCORE_ERROR) & (scores > -np.inf))
        return self.tail_ids[best], _exact_scores(self.tail[best], query)


def _are_among(ids: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """As np.isin, which would sort both."""
    at = np.searchsorted(ascending, ids)
    there: NDArray[np.bool_] = at < len(ascending)
    there[there] = ascending[at[there]] == ids[there]
    return there


def _exact_scores(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    exact = rows.astype(np.float64) @ query.astype(np.float64)
    scores: NDArray[np.float32] = exact.round(SCORE_DECIMALS).astype(np.float32)
    return scores


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
