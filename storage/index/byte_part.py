"""Some tens of thousands of rows at a byte a number, and how near their scores are."""

import math
from dataclasses import dataclass
from functools import cached_property

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.index.chosen_rows import ChosenRows

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
PROBED_ROWS = 1024
"""That stand for all rows of a part."""
STEPS, ZERO = 255, 128
"""In a range of numbers of the rows, and the one that is read as 0."""
QUERY_STEPS = 127

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Query:
    vector: NDArray[np.float32]
    """(dim,)"""
    limit: int
    chosen: ChosenRows | None = None
    """Only these; None for all."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A query as one part reads it: a row's score is step · (row · query) + middle, the row being
    what FAISS makes of its bytes."""

    query: NDArray[np.float32]
    """(dim,) whole numbers of at most QUERY_STEPS."""
    step: float
    middle: float
    off: float
    """Scores are off by no more."""

    def scores(self, products: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.asarray(products, dtype=np.float64) * self.step + self.middle


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

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """(count, dim), where they lie in the file; each is ZERO more than FAISS reads it as."""
        codes = self._index.codes  # type: ignore[attr-defined]
        content: NDArray[np.uint8] = faiss.rev_swig_ptr(codes.data(), codes.size())
        return content.reshape(self.count, self._index.d)

    def reading(self, query: NDArray[np.float32]) -> Reading:
        asked = query * self._steps
        step = max(float(np.abs(asked).max()), 1e-30) / QUERY_STEPS
        middle = float(query @ self._middle)
        # The rows' rounding times the query, and the query's times the rows as they are rounded.
        rounding = math.hypot(float(np.linalg.norm(asked)), step * self._longest)
        sums = SUM_ERROR * (ZERO * float(np.abs(asked).sum()) + abs(middle))
        return Reading(np.rint(asked / step), step, middle, STEPS_OFF * rounding + sums)

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
        reading = self.reading(query)
        products, rows = index.search(reading.query[np.newaxis], wanted, params=parameters)
        there = rows[0] >= 0
        all_found = wanted == index.ntotal or not there.all()
        scores = reading.scores(products[0]).astype(np.float32)
        return Found(
            rows[0][there] + start,
            scores[there],
            reading.off,
            -np.inf if all_found else float(scores[-1]),
        )
