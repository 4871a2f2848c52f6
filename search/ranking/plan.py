"""How a request is answered: over which pictures, and in which order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.query.reading import ReadRequest
from search.ranking.cursor import Cursor
from search.ranking.dates import DateOrder
from search.ranking.filtering import FilteredPictures
from search.ranking.folding import FoldedOrder, Order
from search.ranking.fusion import LEAD_BY_WORDS, FusedOrder, floor_of
from search.ranking.ranking import Push, Ranking
from search.ranking.relevance import NOTHING_BELOW, RelevanceModel
from search.schemas import SearchRequest
from storage.ascending import are_among
from storage.index.snapshot import Nearest, Snapshot
from storage.library import Library
from storage.pictures import taken_at_of
from storage.words.picture_words import WordMatch, matching_ids, matching_words

Ids = NDArray[np.int64]
Scores = NDArray[np.float32]

MOST_BY_DATE = 10_000
"""Relevant pictures that are put in the order of their dates; where there are more, the best."""


@dataclass(frozen=True)
class Plan:
    order: Order
    ranking: Ranking
    lead: FusedOrder
    """Empty where no words match."""
    dates: DateOrder | None
    folded: FoldedOrder | None
    total: int
    exact: bool
    newest: int | None
    words: list[WordMatch] | None
    """All pictures whose words match; None where there may be more."""


@dataclass(frozen=True)
class Planner:
    """Plans one request over one snapshot."""

    library: Library
    filtered: FilteredPictures
    snapshot: Snapshot
    request: SearchRequest
    asked: ReadRequest
    after: Cursor | None
    relevance_of: Callable[[Scores], Scores]

    def plan(
        self,
        wanted: NDArray[np.float32],
        pushes: list[Push],
        relevance: RelevanceModel,
        exclude: frozenset[int],
    ) -> Plan:
        newest = self._newest()
        allowed = self._allowed(exclude, newest)
        ranking = Ranking(self.snapshot, wanted, pushes, relevance, allowed)
        lead, words = self._lead(ranking, allowed)
        order: Order = lead if lead.lead else ranking
        total = len(self.snapshot.image_ids) if allowed is None else len(allowed)
        dates, exact = None, True
        if self.request.sort == "date":
            relevant = self._relevant(ranking, lead)
            exact = len(relevant.image_ids) < MOST_BY_DATE
            dates = DateOrder(
                relevant, taken_at_of(self.library.engine, relevant.image_ids.tolist())
            )
            order, total = dates, len(dates)
        folded = None
        if self.request.diversify:
            folded = FoldedOrder(order, self.snapshot, self.library)
            order = folded
        return Plan(order, ranking, lead, dates, folded, total, exact, newest, words)

    def _newest(self) -> int | None:
        """What comes in later could stand for pictures that were not given yet."""
        if not self.request.diversify:
            return None
        if self.after is not None and self.after.newest is not None:
            return self.after.newest
        ids = self.snapshot.image_ids
        return int(ids[-1]) if len(ids) else 0

    def _allowed(self, exclude: frozenset[int], newest: int | None) -> Ids | None:
        """Ascending ids; None for all."""
        everything = self.snapshot.image_ids
        allowed = None
        chosen = self.request.filters.for_storage()
        if not chosen.is_empty:
            allowed = self.filtered.of(chosen, self.snapshot)
        if self.asked.is_quoted and self.asked.words is not None:
            ids = matching_ids(self.library.engine, self.asked.words)
            some = everything if allowed is None else allowed
            allowed = ids[are_among(ids, some)]
        if exclude:
            some = everything if allowed is None else allowed
            allowed = np.setdiff1d(some, list(exclude), assume_unique=True)
        if newest is not None and len(everything) and everything[-1] > newest:
            some = everything if allowed is None else allowed
            allowed = some[some <= newest]
        return allowed

    def _lead(
        self, ranking: Ranking, allowed: Ids | None
    ) -> tuple[FusedOrder, list[WordMatch] | None]:
        """And all pictures whose words match; None where there may be more."""
        if self.after is not None and self.request.sort == "relevance":
            return FusedOrder(ranking, self.after.lead, self.after.base), None
        if self.asked.words is None:
            return FusedOrder(ranking, (), None), []
        words = matching_words(self.library.engine, self.asked.words, LEAD_BY_WORDS, allowed)
        ids = np.array([each.image_id for each in words], dtype=np.int64)
        there = ids[are_among(ids, self.snapshot.image_ids)].tolist()
        all_words = words if len(words) < LEAD_BY_WORDS else None
        if self.asked.is_quoted:
            return FusedOrder(ranking, there, None, there), all_words
        lead = FusedOrder.of(ranking, there)
        if lead.lead and self.request.min_relevance > 0:
            lead = self._relevant_of(lead, words, ranking)
        return lead, all_words

    def _relevant_of(
        self, lead: FusedOrder, words: Sequence[WordMatch], ranking: Ranking
    ) -> FusedOrder:
        floors = {each.image_id: floor_of(each.matched) for each in words}
        near = ranking.of(lead.lead)
        relevances = self.relevance_of(near.scores)
        relevant = {
            image_id
            for image_id, relevance in zip(near.image_ids.tolist(), relevances, strict=True)
            if max(relevance, floors.get(image_id, 0.0)) >= self.request.min_relevance
        }
        return lead.only(relevant)

    def _relevant(self, ranking: Ranking, lead: FusedOrder) -> Nearest:
        """All hits that are relevant, those by their words among them."""
        if self.asked.is_quoted:
            return ranking.first(MOST_BY_DATE)
        least = max(NOTHING_BELOW, self.request.min_relevance)
        count = 256
        while True:
            found = ranking.first(count)
            relevant = self.relevance_of(found.scores) >= least
            if not relevant.all() or len(found.image_ids) < count or count >= MOST_BY_DATE:
                break
            count = min(2 * count, MOST_BY_DATE)
        by_words = ranking.of(lead.worded)
        ids = np.concatenate([found.image_ids[relevant], by_words.image_ids])
        scores = np.concatenate([found.scores[relevant], by_words.scores])
        ids, first = np.unique(ids, return_index=True)
        return Nearest(ids, scores[first], found.exact)
