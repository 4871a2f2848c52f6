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

import numpy as np
from numpy.typing import NDArray

from storage.index.byte_part import Found, Part, Query, Rows
from storage.index.chosen_rows import ChosenRows
from storage.index.mapped_parts import in_parallel, touch_pages
from storage.index.shared_scan import scan_together
from storage.together import Together

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
PROBES = 4
"""To see how many that is: parts, some rows of each."""
WORTH_SHARING, MOST_SHARING = 5, 15
"""Queries at once. A reading for many takes as long as four or five for one each."""
MOST_SHARED_HITS, LEAST_SHARED_ROWS = 1000, 1 / 4
"""Whoever wants more, or chooses fewer of all rows, is served alone."""


@dataclass(eq=False)
class QuickScan:
    """Every row of an index, in its order. Safe to use from many threads."""

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        self._together = Together(
            self._candidates_of,
            lambda waiting: 1 if waiting < WORTH_SHARING else min(waiting, MOST_SHARING),
        )

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

        query: (dim,). chosen: only these; None for all. Those whom many threads ask for at once
        are found by one reading of the rows.
        """
        asked = Query(query, limit, chosen)
        rows = self.count if chosen is None else len(chosen)
        if limit > MOST_SHARED_HITS or rows < LEAST_SHARED_ROWS * self.count:
            return self._candidates(asked)
        return self._together.ask(asked)

    def _candidates_of(self, queries: Sequence[Query]) -> list[Rows]:
        if len(queries) == 1:
            return [self._candidates(queries[0])]
        return scan_together(self.parts, queries)

    def _candidates(self, asked: Query) -> Rows:
        query, limit, chosen = asked.vector, asked.limit, asked.chosen
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
