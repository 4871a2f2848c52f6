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
from functools import cached_property

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.index.chosen_rows import ChosenRows
from storage.index.mapped_parts import in_parallel, touch_pages

STEPS_OFF = 2.4
"""By how many steps of rounding a score is allowed to be off.

Each number is off by at most half a step, as good as evenly and independently of the others. A sum
of such errors is more than c times the norm of the vector of whole steps with a probability under
2·exp(−6c²) (a number spread evenly over a step has the moments of a normal one of variance 1/12, or
lower ones), which for 2.4 is 2e-15.
"""
SUM_ERROR = 1e-5
"""More than FAISS's sums in float32 are off by, as a share of what is added up; and more than
two scores that are rounded to the same."""
SPARE = 256
"""Rows that are asked of each part, and more where more are wanted: few enough not to be felt."""
LEAST_DEEPER, MOST_DEEPER = 1.5, 8.0
"""Times as many are asked of a part that may have more of the best: as many as it seems to have."""
PASSING_OVER = 6
"""Rows that could be read in the time that it takes to pass over some between two others: the
memory is kept waiting then."""
KEEPING = 4
"""And to keep one among the best, where many are kept."""
WORTH_HEEDING = 1.2
"""Of the time for all rows. Where it takes more to read only the chosen, as where they lie among
the others at random, all are read and the others dropped afterwards, with as many kept as are
nearer than the chosen."""
PROBES, PROBED_ROWS = 4, 1024
"""To see how many that is: parts, and rows of each."""
STEPS, ZERO = 255, 128
"""In a range of numbers of the rows, and the one that is read as 0."""
QUERY_STEPS = 127

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Found:
    """Some of the best of a part."""

    rows: Rows
    scores: Scores
    off: float
    """Scores are off by no more."""
    rest: float
    """No other row that may be found scores more; −inf when there is none."""

    def only(self, chosen: ChosenRows) -> "Found":
        keep = chosen.mask[self.rows]
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
        self, query: NDArray[np.float32], wanted: int, chosen: ChosenRows | None = None
    ) -> Found:
        """The best `wanted` rows. chosen: only these; None for all."""
        selector = None
        if chosen is not None:
            mine = chosen.bits[self.start // 8 : -(-(self.start + self.count) // 8)]
            selector = faiss.IDSelectorBitmap(mine)  # type: ignore[arg-type, call-arg]
        return self._found(self._index, self.start, query, wanted, selector)

    def probe(self, query: NDArray[np.float32]) -> "Found":
        """A few rows, all of them."""
        first, some = self._some
        return self._found(some, first, query, some.ntotal)

    @cached_property
    def _some(self) -> tuple[int, faiss.Index]:
        first = max(0, self.count - PROBED_ROWS) // 2
        product = faiss.METRIC_INNER_PRODUCT
        kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
        some = faiss.IndexScalarQuantizer(self._index.d, kind, product)
        some.add(self._index.reconstruct_n(first, min(PROBED_ROWS, self.count)))
        return self.start + first, some

    def _asked(self, query: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """(1, dim) whole numbers, for the rows as FAISS reads them; and by what they are to be
        multiplied."""
        asked = query * self._steps
        step = max(float(np.abs(asked).max()), 1e-30) / QUERY_STEPS
        return np.rint(asked / step)[np.newaxis], step

    def _found(
        self,
        index: faiss.Index,
        start: int,
        query: NDArray[np.float32],
        wanted: int,
        selector: faiss.IDSelector | None = None,
    ) -> "Found":
        """index: the part's, or one of some of its rows from `start` on."""
        wanted = min(wanted, index.ntotal)
        parameters = None
        if selector is not None:
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        asked, step = self._asked(query)
        products, rows = index.search(asked, wanted, params=parameters)
        there = rows[0] >= 0
        all_found = wanted == index.ntotal or not there.all()
        middle = float(query @ self._middle)
        scores = (products[0] * step + middle).astype(np.float32)
        return Found(
            rows[0][there] + start,
            scores[there],
            self._off(query * self._steps, step) + SUM_ERROR * abs(middle),
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

    def candidates(
        self, query: NDArray[np.float32], limit: int, chosen: ChosenRows | None = None
    ) -> Rows:
        """Rows among which the true best `limit` are, with every tie of the last of them.

        query: (dim,). chosen: only these; None for all.
        """
        asks = self._asks(query, limit, chosen)

        def search(at: int) -> Found:
            heeded, wanted = asks[at]
            found = self.parts[at].search(query, wanted, heeded)
            return found if chosen is None or heeded else found.only(chosen)

        found: dict[int, Found] = {}
        short, last, for_the_first_time = list(asks), -np.inf, True
        while short:
            found |= in_parallel(search, short)
            last = _surely_reached(found.values(), limit)
            short = [at for at, each in found.items() if _may_have_more(each, last)]
            for at in short:
                heeded, wanted = asks[at]
                more = math.ceil(wanted * _deeper(found[at], last))
                asks[at] = (heeded if for_the_first_time else chosen, more)
            for_the_first_time = False
        best = [each.rows[each.scores + each.off >= last] for each in found.values()]
        return np.concatenate([np.empty(0, dtype=np.int64), *best])

    def _asks(
        self, query: NDArray[np.float32], limit: int, chosen: ChosenRows | None
    ) -> dict[int, tuple[ChosenRows | None, int]]:
        """By the place of each part to be searched: the rows to read of it, None for all; and how
        many of the best to keep."""
        usual = SPARE + limit // 4
        if chosen is None:
            return dict.fromkeys(range(len(self.parts)), (None, usual))
        within = chosen.within(self._edges)
        places = [at for at, (count, _) in enumerate(within) if count]
        asks: dict[int, tuple[ChosenRows | None, int]] = {}
        of_all, of_chosen = self._near_enough(query, limit, places, chosen) if places else (0, 0)
        for at in places:
            (count, ends), rows = within[at], self.parts[at].count
            wanted = max(usual, math.ceil(of_all * rows))
            if count + PASSING_OVER * ends > WORTH_HEEDING * (rows + KEEPING * (wanted - usual)):
                asks[at] = (None, wanted)
            else:
                asks[at] = (chosen, max(usual, math.ceil(of_chosen * rows)))
        return asks

    def _near_enough(
        self, query: NDArray[np.float32], limit: int, places: Sequence[int], chosen: ChosenRows
    ) -> tuple[float, float]:
        """Of all rows the share that is, to judge by a few parts, as near as the best chosen are,
        as far as can be told from scores that are off; and the share that is chosen as well."""
        probed = places[:: -(-len(places) // PROBES)]
        found = in_parallel(lambda at: self.parts[at].probe(query), probed).values()
        scores = np.concatenate([each.scores for each in found])
        mine = chosen.mask[np.concatenate([each.rows for each in found])]
        best = np.sort(scores[mine])[::-1]
        share = len(scores) / sum(self.parts[at].count for at in places)
        needed = math.ceil(limit * share)
        if needed > len(best):
            return 1.0, 0.0
        near = scores >= best[needed - 1] - 2 * max(each.off for each in found)
        return _at_most(near), _at_most(near & mine)

    @cached_property
    def _edges(self) -> tuple[int, ...]:
        return (*(part.start for part in self.parts), self.count)


def _at_most(sample: NDArray[np.bool_]) -> float:
    """The share that there may well be where there are so many in a sample."""
    count = int(np.count_nonzero(sample))
    return (count + 2 * math.sqrt(count)) / len(sample)


def _surely_reached(found: Iterable[Found], limit: int) -> float:
    """What the true best `limit` score at least; −inf where so many were not found."""
    none = np.empty(0, dtype=np.float32)
    least = np.concatenate([none, *(each.scores - each.off for each in found)])
    if len(least) < limit:
        return -np.inf
    return float(np.partition(least, len(least) - limit)[len(least) - limit])


def _deeper(found: Found, last: float) -> float:
    """By how much more rows there are down to the score in question, if their number goes on
    growing as it did among those found."""
    scores = np.sort(found.scores)[::-1]
    growth = float(scores[len(scores) // 4] - scores[-1]) / math.log(4) if len(scores) else 0.0
    steps = (found.rest + found.off - last) / max(growth, 1e-9)
    return min(max(LEAST_DEEPER, LEAST_DEEPER * math.exp(min(steps, 9.0))), MOST_DEEPER)


def _may_have_more(found: Found, last: float) -> bool:
    return found.rest > -np.inf and found.rest + found.off >= last
