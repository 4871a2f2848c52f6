"""The order of the hits by score: near what is wanted, less what is not.

Taking the embedding of what is not wanted off the query turns the query elsewhere: away from
glasses is not towards cats. So pictures are ranked by what is wanted, and those that show what is
not are pushed down, each by how sure it is that it shows it. As that only ever takes away, the
best are found exactly: what is not among the first n by the wanted alone scores less than the
last of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders import Encoder
from search.query.query_embedding import EmbeddedQuery, Unwanted
from search.ranking.cursor import Cursor
from search.ranking.relevance import Judge, RelevanceModel, relevance_of_image_query
from storage.index.snapshot import SCORE_DECIMALS, Nearest, Snapshot

Scores = NDArray[np.float32]
Ids = NDArray[np.int64]

PUSHED_BY_NATS = 10.0
"""By how much a picture that surely shows what is not wanted falls, in the encoder's own log-odds
of a match: from the surest of hits to below what has nothing to do with the query."""

PUSHED_AMONG_PICTURES = 0.5
"""The same as a cosine, where the query is a picture."""


def cosine_per_nat(encoder: Encoder) -> float:
    """How much cosine changes the encoder's log-odds of a match by 1."""
    cosines = np.linspace(-1, 1, 4001, dtype=np.float32)
    match = encoder.match_probability(cosines).astype(np.float64)
    sloping = np.flatnonzero((match > 0.02) & (match < 0.98))
    if len(sloping) < 2:  # steeper than the steps
        return float(cosines[1] - cosines[0])
    ends = sloping[[0, -1]]
    odds = np.log(match[ends] / (1 - match[ends]))
    return float((cosines[ends[1]] - cosines[ends[0]]) / (odds[1] - odds[0]))


@dataclass(frozen=True)
class Push:
    """One unwanted thing, and how it is judged and weighed."""

    unwanted: Unwanted
    judge: Judge
    by: float
    """Cosine that a picture loses which surely shows it."""


class Ranking:
    """One query's order of the pictures of a snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        wanted: NDArray[np.float32],
        pushes: Sequence[Push],
        relevance: RelevanceModel,
        allowed: Ids | None,
    ) -> None:
        """allowed: only these pictures, ascending; None for all."""
        self._snapshot = snapshot
        self._wanted = wanted
        self._pushes = pushes
        self._relevance = relevance
        self.allowed = allowed

    @property
    def judges(self) -> tuple[tuple[float, float, float], ...]:
        """For the cursor."""
        return tuple((each.judge.share, each.judge.even, each.judge.width) for each in self._pushes)

    def first(self, count: int) -> Nearest:
        """The best `count`, fewer where there are no more; ties by id."""
        if not self._pushes:
            return self._snapshot.nearest(self._wanted, count, self.allowed)
        looked_at = 2 * count
        while True:
            near = self._snapshot.nearest(self._wanted, looked_at, self.allowed)
            pushed = self._pushed_down(near)
            if len(near.image_ids) < looked_at:
                return _cut(pushed, count)
            # Only what is above all that was not looked at has its place for certain.
            certain = int((pushed.scores > near.scores[-1]).sum())
            if certain >= count:
                return _cut(pushed, count)
            looked_at *= 2

    def of(self, image_ids: Sequence[int]) -> Nearest:
        """These pictures, those that are there and allowed, in their order by score."""
        ids = np.unique(np.array(image_ids, dtype=np.int64))
        if self.allowed is not None:
            ids = np.intersect1d(ids, self.allowed, assume_unique=True)
        if not len(ids):
            return Nearest(ids, np.empty(0, dtype=np.float32), exact=True)
        return self._pushed_down(self._snapshot.nearest(self._wanted, len(ids), ids))

    def shows_unwanted(self, image_ids: Ids) -> NDArray[np.float32]:
        """(n,) 0–1: how sure it is that pictures show anything that is not wanted."""
        surest = np.zeros(len(image_ids), dtype=np.float32)
        for push in self._pushes:
            surest = np.maximum(surest, self._shown(push, image_ids))
        return surest

    def is_behind(self, found: Nearest, after: Cursor) -> NDArray[np.bool_]:
        return behind(found, after.score, after.image_id)

    def _pushed_down(self, near: Nearest) -> Nearest:
        if not self._pushes or not len(near.image_ids):
            return near
        scores = near.scores.astype(np.float64)
        for push in self._pushes:
            scores -= push.by * self._shown(push, near.image_ids).astype(np.float64)
        rounded = scores.round(SCORE_DECIMALS).astype(np.float32)
        best = np.lexsort((near.image_ids, -rounded))
        return Nearest(near.image_ids[best], rounded[best], near.exact)

    def _shown(self, push: Push, image_ids: Ids) -> NDArray[np.float32]:
        order = np.argsort(image_ids)
        ascending = image_ids[order]
        near = self._snapshot.nearest(push.unwanted.vector, len(ascending), ascending)
        shown = np.zeros(len(image_ids), dtype=np.float32)
        by_score = (
            relevance_of_image_query(near.scores)
            if push.unwanted.text is None
            else self._relevance.by(push.judge, near.scores)
        )
        shown[order[np.searchsorted(ascending, near.image_ids)]] = by_score
        return shown


def behind(found: Nearest, score: float, image_id: int) -> NDArray[np.bool_]:
    lower = found.scores < np.float32(score)
    tied: NDArray[np.bool_] = (found.scores == np.float32(score)) & (found.image_ids > image_id)
    return lower | tied


def pushes_of(
    query: EmbeddedQuery, encoder: Encoder, relevance: RelevanceModel, judges: Sequence[Judge]
) -> list[Push]:
    """judges: one for every unwanted thing."""
    by = PUSHED_AMONG_PICTURES if query.has_pictures else PUSHED_BY_NATS * cosine_per_nat(encoder)
    return [
        Push(unwanted, judge, by * unwanted.weight)
        for unwanted, judge in zip(query.unwanted, judges, strict=True)
    ]


def _cut(near: Nearest, count: int) -> Nearest:
    return Nearest(near.image_ids[:count], near.scores[:count], near.exact)
