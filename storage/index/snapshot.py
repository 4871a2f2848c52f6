"""What a search looks at: one index generation, the tail that is newer, and what is masked.

A snapshot never changes. `SnapshotReader` (`snapshot_reader.py`) makes a new one when the catalog
has moved on; requests that hold the old one finish on it.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from storage.ascending import are_among
from storage.index.chosen_rows import ChosenRows
from storage.index.loaded_index import SCORE_ERROR, LoadedIndex
from storage.index.mapped_parts import in_parallel
from storage.index.vector_index import Manifest

SCORE_DECIMALS = 6
"""Scores are added up in float64 and rounded, so that a picture keeps its score and its place
wherever it stands: in the tail, in the index, alone or among others."""
KEPT_FILTERS, WORTH_KEEPING = 4, 10_000
"""Filters whose rows are kept for the next query, and of how many pictures they have to be."""
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
    _chosen: deque[tuple[NDArray[np.int64], ChosenRows]] = field(
        default_factory=partial(deque, maxlen=KEPT_FILTERS)
    )
    """What large filters lead to, by the very arrays of their ids."""

    @cached_property
    def image_ids(self) -> NDArray[np.int64]:
        """Pictures that can be found, ascending."""
        # After every commit this is made anew: what NumPy has for sets takes a second of a million.
        there = self.index.ascending_ids if self.index is not None else self._indexed_ids
        newer = self.tail_ids[~are_among(self.tail_ids, there)]
        if len(newer):
            there = np.sort(np.concatenate([there, newer]), kind="stable")
        return there[~are_among(there, self.masked)] if len(self.masked) else there

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
        newer = are_among(ids, self.tail_ids)
        rows = self.tail[np.searchsorted(self.tail_ids, ids[newer])].astype(np.float32)
        if self.index is not None:
            indexed = self.index.embeddings(self.index.rows_of(ids[~newer]))
            rows = np.concatenate([rows.reshape(-1, self.dim), indexed])
        sample: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return sample

    @cached_property
    def _indexed_ids(self) -> NDArray[np.int64]:
        return self.index.image_ids if self.index is not None else np.empty(0, dtype=np.int64)

    @cached_property
    def _shown_rows(self) -> ChosenRows | None:
        """The index's rows that are not masked; None when none is."""
        masked = are_among(self._indexed_ids, self.masked)
        return ChosenRows(np.flatnonzero(~masked), len(masked)) if masked.any() else None

    def _chosen_rows(self, index: LoadedIndex, allowed: NDArray[np.int64]) -> ChosenRows:
        for ids, chosen in list(self._chosen):
            if ids is allowed:
                return chosen
        shown = allowed[~are_among(allowed, self.masked)] if len(self.masked) else allowed
        chosen = index.chosen(shown)
        if len(allowed) >= WORTH_KEEPING:
            self._chosen.append((allowed, chosen))
        return chosen

    def _in_index(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None
    ) -> tuple[tuple[NDArray[np.int64], NDArray[np.float32]], bool]:
        """Ids and exact scores of the index's pictures that may be among the best, and whether
        none that is among them can be missing."""
        none = np.empty(0, dtype=np.float32)
        if self.index is None:
            return (np.empty(0, dtype=np.int64), none), True
        chosen = self._shown_rows if allowed is None else self._chosen_rows(self.index, allowed)
        found = self.index.candidates(query, limit, chosen)
        found = self.index.nearest_of(found, query, limit)
        parts = [found[at : at + EXACT_ROWS] for at in range(0, len(found), EXACT_ROWS)]
        scores = [_exact_scores(self.index.embeddings(part), query) for part in parts]
        exact = self.index.answers_exactly(limit, chosen)
        return (self.index.image_ids[found], np.concatenate([none, *scores])), exact

    def _in_tail(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The same of the pictures that are newer than the index."""
        if not len(self.tail_ids):
            return self.tail_ids, np.empty(0, dtype=np.float32)
        scores = self._tail_scores(query)
        # Rows that don't count are passed over by their scores: copying the others takes longer.
        if len(self.masked):
            scores[are_among(self.tail_ids, self.masked)] = -np.inf
        if allowed is not None:
            scores[~are_among(self.tail_ids, allowed)] = -np.inf
        last = -np.inf
        if len(scores) > limit:
            last = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        best = np.flatnonzero((scores >= last - SCORE_ERROR) & (scores > -np.inf))
        return self.tail_ids[best], _exact_scores(self.tail[best], query)

    def _tail_scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        def score(at: int) -> NDArray[np.float32]:
            part = self.tail[at : at + EXACT_ROWS]
            scores: NDArray[np.float32] = np.einsum("ij,j->i", part, query)
            return scores

        starts = range(0, len(self.tail), EXACT_ROWS)
        if len(starts) == 1:
            return score(0)
        return np.concatenate([*in_parallel(score, starts).values()])


def _exact_scores(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    # Not by BLAS, which adds up in another order for every number of rows, and whose threads go on
    # waiting busily for a while, at the cost of the next query.
    exact = np.einsum("ij,j->i", rows, query, dtype=np.float64)
    scores: NDArray[np.float32] = exact.round(SCORE_DECIMALS).astype(np.float32)
    return scores


def _normalised(row: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = row / np.linalg.norm(row)
    return unit
