"""Rows of an index that a search is limited to, in the forms in which they are searched."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Edges = tuple[int, ...]


@dataclass(eq=False)
class ChosenRows:
    """What is made of them is kept, since a filter mostly serves more than one query."""

    rows: NDArray[np.int64]
    """No row twice."""
    total: int
    """Rows of the index."""
    _within: tuple[Edges, tuple[tuple[int, int], ...]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(total,)"""
        mask = np.zeros(self.total, dtype=np.bool_)
        mask[self.rows] = True
        return mask

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """A bit a row, the lowest first, as FAISS takes them."""
        return np.packbits(self.mask, bitorder="little")

    def within(self, edges: Edges) -> tuple[tuple[int, int], ...]:
        """Of each part between two edges: how many rows are chosen, and how many times those that
        are not come after one that is."""
        if self._within is None or self._within[0] != edges:
            parts = (self.mask[start:end] for start, end in pairwise(edges))
            self._within = edges, tuple((_count(part), _ends(part)) for part in parts)
        return self._within[1]


def _count(part: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(part))


def _ends(part: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(part[:-1] & ~part[1:]))
