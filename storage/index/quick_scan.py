"""A byte a number of every row, kept beside an index, by which it is searched as exactly.

Reading the embeddings is what an exhaustive search takes its time for, so half as many bytes take
half the time. The scores that come out are near the true ones, and how near is known; the few rows
that may be among the best are then scored exactly from the float16 rows (as in the VA-file, Weber
et al., 1998), and the answer is the same as without.

The file holds FAISS indexes of 8 bits, one behind the other, each with the ranges of its own rows.
It is mapped, so it is ready at once. FAISS searches for one query on one thread, so that each of
ours searches parts of its own.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.index.mapped_parts import threads, touch_pages

STEPS_OFF = 4.0
"""By how many steps of rounding a score is allowed to be off.

Each number is off by at most half a step, and by how much is as good as independent of the
others: Hoeffding's inequality gives that what rounding adds to a product is more than c times the
norm of the vector of what half a step adds at most, twice, with a probability under 2·exp(−2c²),
which for 4 is 3e-14.
"""
SUM_ERROR = 1e-5
"""More than FAISS's sums in float32 are off by, as a share of what is added up; and more than
two scores that are rounded to the same."""
SPARE = 256
"""Rows that are asked of each part, and more where more are wanted: few enough not to be felt."""
DEEPER = 8
"""Times as many are asked of a part that may have more of the best."""
DENSE_SHARE = 1 / 3
"""Where more of all rows are chosen it is quicker to read on than to pass rows over, which keeps
the memory waiting; what was not chosen is dropped afterwards."""
STEPS, ZERO = 255, 128
"""In a range of numbers of the rows, and the one that is read as 0."""
QUERY_STEPS = 127

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]
Chosen = NDArray[np.bool_]
"""Of all rows, those to be searched; the same packed, a bit a row, where FAISS is to heed it."""


@dataclass(frozen=True, eq=False)
class Found:
    """Some of the best of a part."""

    rows: Rows
    scores: Scores
    off: float
    """Scores are off by no more."""
    rest: float
    """No other row that may be found scores more; −inf when there is none."""

    def only(self, chosen: Chosen) -> "Found":
        keep = chosen[self.rows]
        return Found(self.rows[keep], self.scores[keep], self.off, self.rest)


class Part:
    """Rows from `start` on."""

    def __init__(self, index: faiss.Index, start: int, mapped: NDArray[np.uint8]) -> None:
        """index: of 8 bits, as it was written (`byte_rows.py`). It is used up.

        mapped: the file, which the index reads and does not keep open itself.
        """
        ranges = faiss.vector_to_array(index.sq.trained)  # type: ignore[attr-defined]
        lowest, extents = ranges.reshape(2, index.d)
        self.count, self.start = index.ntotal, start
        self._steps = (extents / STEPS).astype(np.float32)
        self._middle = (lowest + (ZERO + 0.5) * self._steps).astype(np.float32)
        self._longest = index.sq.rangestat_arg  # type: ignore[attr-defined]
        # The ranges go to the query, once, and not to every number of every row: FAISS multiplies
        # bytes then.
        index.sq.qtype = faiss.ScalarQuantizer.QT_8bit_direct_signed  # type: ignore[attr-defined]
        self._index, self.mapped = index, mapped

    def search(
        self, query: NDArray[np.float32], wanted: int, bits: NDArray[np.uint8] | None
    ) -> Found:
        """The best `wanted` rows. bits: packed, only these; None for all."""
        wanted = min(wanted, self.count)
        parameters = None
        if bits is not None:
            mine = bits[self.start // 8 : -(-(self.start + self.count) // 8)]
            selector = faiss.IDSelectorBitmap(mine)  # type: ignore[arg-type, call-arg]
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        asked = query * self._steps
        step = max(float(np.abs(asked).max()), 1e-30) / QUERY_STEPS
        products, rows = self._index.search(
            np.rint(asked / step)[np.newaxis], wanted, params=parameters
        )
        there = rows[0] >= 0
        all_found = wanted == self.count or not there.all()
        middle = float(query @ self._middle)
        scores = (products[0] * step + middle).astype(np.float32)
        return Found(
            rows[0][there] + self.start,
            scores[there],
            self._off(asked, step) + SUM_ERROR * abs(middle),
            -np.inf if all_found else float(scores[-1]),
        )

    def _off(self, asked: NDArray[np.float32], step: float) -> float:
        # The rows' rounding times the query, and the query's times the rows as they are rounded.
        rounding = math.hypot(float(np.linalg.norm(asked)), step * self._longest)
        return STEPS_OFF * rounding + SUM_ERROR * ZERO * float(np.abs(asked).sum())


@dataclass(frozen=True, eq=False)
class QuickScan:
    """Every row of an index, in its order. Safe to use from many threads."""

    parts: tuple[Part, ...]

    @property
    def count(self) -> int:
        return sum(part.count for part in self.parts)

    def prepare(self) -> None:
        """Have the file's pages at hand."""
        if self.parts:
            touch_pages(self.parts[0].mapped)

    def candidates(self, query: NDArray[np.float32], limit: int, rows: Rows | None) -> Rows:
        """Rows among which the true best `limit` are, with every tie of the last of them.

        query: (dim,). rows: only these; None for all.
        """
        chosen = bits = None
        if rows is not None:
            chosen = np.zeros(self.count, dtype=bool)
            chosen[rows] = True
            bits = np.packbits(chosen, bitorder="little")
        wanted = SPARE + limit // 4
        every = range(len(self.parts))
        if chosen is None or self._reads_on(query, wanted, chosen):
            found = self._search(every, query, wanted, None)
            if chosen is not None:
                found = {at: each.only(chosen) for at, each in found.items()}
        else:
            found = self._search(every, query, wanted, bits)
        while True:
            last = _surely_reached(found.values(), limit)
            short = [at for at, each in found.items() if _may_have_more(each, last)]
            if not short:
                break
            wanted *= DEEPER
            found |= self._search(short, query, wanted, bits)
        best = [each.rows[each.scores + each.off >= last] for each in found.values()]
        return np.concatenate([np.empty(0, dtype=np.int64), *best])

    def _search(
        self,
        places: Sequence[int],
        query: NDArray[np.float32],
        wanted: int,
        bits: NDArray[np.uint8] | None,
    ) -> dict[int, Found]:
        """By the parts' places."""
        found = threads().map(lambda at: self.parts[at].search(query, wanted, bits), places)
        return dict(zip(places, found, strict=True))

    def _reads_on(self, query: NDArray[np.float32], wanted: int, chosen: Chosen) -> bool:
        """Whether many rows are chosen, and also among those that are near, as far as the first
        part tells."""
        share = int(np.count_nonzero(chosen)) / len(chosen)
        if share < DENSE_SHARE:
            return False
        nearest = self._search([0], query, wanted, None)[0].rows
        return int(np.count_nonzero(chosen[nearest])) > len(nearest) * share / 2


def _surely_reached(found: Iterable[Found], limit: int) -> float:
    """What the true best `limit` score at least; −inf where so many were not found."""
    least = np.concatenate([each.scores - each.off for each in found])
    if len(least) < limit:
        return -np.inf
    return float(np.partition(least, len(least) - limit)[len(least) - limit])


def _may_have_more(found: Found, last: float) -> bool:
    return found.rest > -np.inf and found.rest + found.off >= last
