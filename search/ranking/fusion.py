"""Pictures whose own words say what was asked for, ranked together with those that show it.

Only the beginning of the ranking is fused, the *lead*: the best of both lists, by reciprocal rank.
Behind it the order by score goes on without those of the lead. The cursor carries the lead, since
another picture's caption may change every rank in it; so pages neither repeat nor skip, whatever
comes in meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from search.ranking.cursor import Cursor
from search.ranking.ranking import Ranking, behind
from storage.index.snapshot import Nearest

LEAD_BY_WORDS = 100
LEAD_BY_SCORE = 100
RANK_OFFSET = 60
"""k of reciprocal rank fusion (Cormack, Clarke, Büttcher 2009)."""


RELEVANCE_OF_TEXTS = 0.8
"""At the least, of a picture whose caption, title or keywords say what was asked for: somebody
wrote so."""
RELEVANCE_OF_NAMES = 0.6
"""The same of a picture whose file or folder is called so: often right, and often by chance."""


def floor_of(matched: Sequence[str]) -> float:
    """The relevance that words give a picture, by where they were found."""
    if not matched:
        return 0.0
    return RELEVANCE_OF_NAMES if tuple(matched) == ("name",) else RELEVANCE_OF_TEXTS


def reciprocal_rank(*rankings: Sequence[int]) -> list[int]:
    """Ids by the sum of 1 / (60 + rank), from 1; ties by the first ranking that names them."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, image_id in enumerate(ranking, 1):
            scores[image_id] = scores.get(image_id, 0.0) + 1 / (RANK_OFFSET + rank)
    return sorted(scores, key=lambda image_id: -scores[image_id])


class FusedOrder:
    """The lead, and the ranking by score behind it."""

    def __init__(
        self,
        ranking: Ranking,
        lead: Sequence[int],
        base: tuple[float, int] | None,
        worded: Sequence[int] = (),
    ) -> None:
        """base: score and id strictly behind which the ranking goes on; None from its start."""
        self._ranking = ranking
        self.lead = tuple(lead)
        self.base = base
        self.worded = tuple(worded)
        """Pictures of the lead whose words match."""
        self._place = {image_id: place for place, image_id in enumerate(self.lead)}

    @classmethod
    def of(cls, ranking: Ranking, by_words: Iterable[int]) -> "FusedOrder":
        """by_words: ids of pictures whose words match, best first."""
        worded = list(by_words)
        if worded:
            # What also shows something unwanted is pushed down like any other picture.
            unwanted = ranking.shows_unwanted(np.array(worded, dtype=np.int64))
            worded = [each for each, shown in zip(worded, unwanted, strict=True) if shown < 0.5]
        if not worded:
            return cls(ranking, (), None)
        shown = ranking.first(LEAD_BY_SCORE)
        lead = reciprocal_rank(shown.image_ids.tolist(), worded)
        base = (float(shown.scores[-1]), int(shown.image_ids[-1])) if len(shown.scores) else None
        return cls(ranking, lead, base, worded)

    def only(self, image_ids: Collection[int]) -> "FusedOrder":
        """With these of the lead."""
        lead = [each for each in self.lead if each in image_ids]
        return FusedOrder(self._ranking, lead, self.base, self.worded)

    def first(self, count: int) -> Nearest:
        leading = self._ranking.of(self.lead)
        by_id = dict(zip(leading.image_ids.tolist(), leading.scores.tolist(), strict=True))
        alive = [image_id for image_id in self.lead if image_id in by_id]
        tail = self._tail(count - len(alive)) if len(alive) < count else None
        ids = np.array(alive[:count], dtype=np.int64)
        scores = np.array([by_id[each] for each in alive[:count]], dtype=np.float32)
        if tail is None:
            return Nearest(ids, scores, leading.exact)
        return Nearest(
            np.concatenate([ids, tail.image_ids]), np.concatenate([scores, tail.scores]), tail.exact
        )

    def is_behind(self, found: Nearest, after: Cursor) -> NDArray[np.bool_]:
        places = [self._place.get(image_id) for image_id in found.image_ids.tolist()]
        leading = np.array([place is not None for place in places], dtype=np.bool_)
        later = np.array([place is not None and place >= after.led for place in places], np.bool_)
        if after.led < len(self.lead):
            return later | ~leading
        if after.image_id in self._place:
            return ~leading
        return ~leading & behind(found, after.score, after.image_id)

    def led_by(self, image_id: int) -> int:
        """How many of the lead are behind a cursor at this picture."""
        return self._place.get(image_id, len(self.lead) - 1) + 1

    def _tail(self, count: int) -> Nearest:
        wanted = count + len(self.lead)
        while True:
            found = self._ranking.first(wanted)
            keep = ~np.isin(found.image_ids, self.lead)
            if self.base is not None:
                keep &= behind(found, *self.base)
            if keep.sum() >= count or len(found.image_ids) < wanted:
                ids, scores = found.image_ids[keep][:count], found.scores[keep][:count]
                return Nearest(ids, scores, found.exact)
            wanted *= 2
