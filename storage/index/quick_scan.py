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
WORTH_HEEDING = 1.2
"""Of the time for all rows. Where it takes more to read only the chosen, as where they lie among
the others at random, all are read and the others dropped afterwards; unless those are the nearest,
which would leave nothing of what was found."""
PROBES, PROBED_ROWS, PROBED_NEAREST = 4, 1024, 8
"""To see that: parts, rows of each, and how many of these are near."""
FURTHER = 4
"""Times as many are asked for where those are left out that are near."""
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
        if chosen is None:
            return self._search(query, wanted, None)
        mine = chosen.bits[self.start // 8 : -(-(self.start + self.count) // 8)]
        return self._search(query, wanted, faiss.IDSelectorBitmap(mine))  # type: ignore[arg-type, call-arg]

    def probe(self, query: NDArray[np.float32]) -> Rows:
        """Those of a few rows that are near, the nearest first."""
        first, some = self._some
        asked, _ = self._asked(query)
        near: Rows = some.search(asked, min(FURTHER * PROBED_NEAREST, some.ntotal))[1][0]
        return near + first

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

    def _search(
        self, query: NDArray[np.float32], wanted: int, selector: faiss.IDSelector | None
    ) -> Found:
        wanted = min(wanted, self.count)
        parameters = None
        if selector is not None:
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        asked, step = self._asked(query)
        products, rows = self._index.search(asked, wanted, params=parameters)
        there = rows[0] >= 0
        all_found = wanted == self.count or not there.all()
        middle = float(query @ self._middle)
        scores = (products[0] * step + middle).astype(np.float32)
        return Found(
            rows[0][there] + self.start,
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
        heeded, times = self._heeded(query, chosen)
        counts = dict.fromkeys(heeded, times * (SPARE + limit // 4))

        def search(at: int) -> Found:
            found = self.parts[at].search(query, counts[at], heeded[at])
            return found if chosen is None or heeded[at] else found.only(chosen)

        found: dict[int, Found] = {}
        short, last = list(heeded), -np.inf
        while short:
            found |= in_parallel(search, short)
            last = _surely_reached(found.values(), limit)
            short = [at for at, each in found.items() if _may_have_more(each, last)]
            for at in short:
                if heeded[at] is chosen:
                    counts[at] = math.ceil(counts[at] * _deeper(found[at], last))
                heeded[at] = chosen
        best = [each.rows[each.scores + each.off >= last] for each in found.values()]
        return np.concatenate([np.empty(0, dtype=np.int64), *best])

    def _heeded(
        self, query: NDArray[np.float32], chosen: ChosenRows | None
    ) -> tuple[dict[int, ChosenRows | None], int]:
        """By the place of each part to be searched: the rows to read of it, or None for all. And
        how many times as many as usual are to be asked for."""
        if chosen is None:
            return dict.fromkeys(range(len(self.parts))), 1
        within = chosen.within(self._edges)
        heeded: dict[int, ChosenRows | None] = {
            at: chosen for at, (count, _) in enumerate(within) if count
        }
        if not heeded:
            return heeded, 1
        nearest, further, share = self._probed(query, list(heeded), chosen)
        times = 1 if nearest > share / 2 else FURTHER
        if times == 1 or further > 1 / FURTHER:
            for at, part in enumerate(self.parts):
                count, ends = within[at]
                if count and count + PASSING_OVER * ends > WORTH_HEEDING * part.count:
                    heeded[at] = None
        return heeded, times

    def _probed(
        self, query: NDArray[np.float32], places: Sequence[int], chosen: ChosenRows
    ) -> tuple[float, float, float]:
        """Shares of the chosen: among those that are nearest in a few parts, among those that are
        near, and in all of these parts."""
        probed = places[:: -(-len(places) // PROBES)]
        near = in_parallel(lambda at: chosen.mask[self.parts[at].probe(query)], probed)
        within = chosen.within(self._edges)
        count = sum(within[at][0] for at in probed)
        return (
            float(np.mean(np.concatenate([each[:PROBED_NEAREST] for each in near.values()]))),
            float(np.mean(np.concatenate([*near.values()]))),
            count / sum(self.parts[at].count for at in probed),
        )

    @cached_property
    def _edges(self) -> tuple[int, ...]:
        return (*(part.start for part in self.parts), self.count)


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
