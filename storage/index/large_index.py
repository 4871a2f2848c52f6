"""A generation that is too large to be read whole for every query: codes name rows to score."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from storage.index.chosen_rows import ChosenRows
from storage.index.codes import Codes
from storage.index.loaded_index import LoadedIndex
from storage.index.mapped_parts import touch_pages

LEAST_CANDIDATES = 256
CANDIDATES_A_HIT = 2
MOST_HITS = 20_000
"""Whoever wants more gets an exact answer: all rows are read, as without codes."""
LOOKED_AT_A_CANDIDATE = 32
LOOKED_AT_SHARE = 1 / 600
"""Of all rows, where that is more: how many of them the scan leaves to be put in order. The more
rows there are, the more score nearly as high as the best; the deeper a page lies, the less its
pictures stand out. Of the best 1000 among 3 million, for queries like texts, .86 are found with 4 a
candidate, .965 with 16, .98 with 32."""
FEW_ROWS = 1000
"""As many are read and scored one by one."""


@dataclass(eq=False)
class LargeIndex(LoadedIndex):
    """As LoadedIndex, but a few of the best may be missed. Those found are scored exactly."""

    codes: Codes = field(kw_only=True)

    def prepare(self) -> None:
        super().prepare()
        touch_pages(self.codes.mapped)

    def answers_exactly(self, limit: int, chosen: ChosenRows | None) -> bool:
        return _candidate_count(limit) is None or self._are_few(limit, chosen)

    def candidates(
        self, query: NDArray[np.float32], limit: int, chosen: ChosenRows | None
    ) -> NDArray[np.int64]:
        """Rows among which most of the best `limit` are.

        The same for a page and the next few, so that the one goes on where the other ended.
        """
        if self._are_few(limit, chosen):
            return np.arange(self.faiss_index.ntotal) if chosen is None else chosen.rows
        wanted = _candidate_count(limit)
        bits = None if chosen is None else chosen.bits
        while wanted is not None:
            least = int(self.faiss_index.ntotal * LOOKED_AT_SHARE)
            looked_at = max(LOOKED_AT_A_CANDIDATE * wanted, least)
            found, scores = self.codes.nearest(query, wanted, looked_at, bits)
            if len(found) < wanted:
                break
            if np.count_nonzero(scores == scores[wanted - 1]) == 1:
                return np.sort(found[:wanted])
            wanted = _candidate_count(wanted)  # copies of one picture, not all of which are here
        return super().candidates(query, limit, chosen)

    def _are_few(self, limit: int, chosen: ChosenRows | None) -> bool:
        total = self.faiss_index.ntotal if chosen is None else len(chosen)
        return total <= max(FEW_ROWS, _candidate_count(limit) or 0)


def _candidate_count(limit: int) -> int | None:
    """A power of two; None where all rows are to be read."""
    if limit > MOST_HITS:
        return None
    return max(LEAST_CANDIDATES, 1 << (CANDIDATES_A_HIT * limit).bit_length())
