"""One FAISS generation as a reader uses it: which pictures it holds, and which come near."""

import os
from dataclasses import dataclass
from functools import cached_property

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.index.quick_scan import BLOCK_ROWS, QuickScan, can_scan_quickly, rows_that_may_be_best

SCORE_ERROR = 1e-5
"""More than a score that was added up in float32 can be off by, twice, and rounded."""
SPARE_CANDIDATES = 8
FEW_SHARE = 1 / 50
"""Of the index; fewer rows than this are read one by one, more are left to FAISS and a bitmap."""
MOST_FEW = 10_000
QUICK_SCAN_ROWS = 50_000
"""Below it FAISS takes a few milliseconds, and nothing is gained."""
QUICK_SCAN_MEMORY_SHARE = 1 / 4
"""Of the machine's memory; an index that would take more is left to FAISS, which maps its file."""


@dataclass(eq=False)
class LoadedIndex:
    """Rows are numbered from 0 in the order of the file. Safe to use from many threads."""

    faiss_index: faiss.Index
    """Image ids over an index that can give its rows back."""
    scan: QuickScan | None = None
    """Set once `prepare_scan` is done; until then, and where it is never called, FAISS scans."""

    @property
    def is_worth_a_scan(self) -> bool:
        rows, dim = self.faiss_index.ntotal, self.faiss_index.d
        if rows < QUICK_SCAN_ROWS or rows * dim > QUICK_SCAN_MEMORY_SHARE * _memory_bytes():
            return False
        return can_scan_quickly()

    def prepare_scan(self) -> None:
        """Read all rows and pack them at a byte a number: some ten seconds for a million."""
        total = self.faiss_index.ntotal
        counts = [min(BLOCK_ROWS, total - start) for start in range(0, total, BLOCK_ROWS)]
        self.scan = QuickScan.of(
            counts, lambda first, last: self.embeddings(np.arange(first, last, dtype=np.int64))
        )

    @cached_property
    def image_ids(self) -> NDArray[np.int64]:
        """(rows,) in the order of the rows."""
        ids: NDArray[np.int64] = faiss.vector_to_array(self.faiss_index.id_map)  # type: ignore[attr-defined]
        return ids

    def rows_of(self, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of those among `image_ids` that are here, in the order given."""
        inside = image_ids[(image_ids >= 0) & (image_ids < len(self._row_by_id))]
        rows = self._row_by_id[inside].astype(np.int64)
        there: NDArray[np.int64] = rows[rows >= 0]
        return there

    def embeddings(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, dim)"""
        found: NDArray[np.float32] = self._rows_index.reconstruct_batch(rows)
        return found

    def candidates(
        self, query: NDArray[np.float32], limit: int, rows: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        """Rows among which the best `limit` are, with every tie of the last of them.

        rows: only these, no row twice; None for all.
        """
        total = self.faiss_index.ntotal if rows is None else len(rows)
        if rows is not None and total <= max(limit, self._few):
            return rows
        if not total:
            return np.empty(0, dtype=np.int64)
        if self.scan is not None:
            scores, off = self.scan.scores(query)
            if rows is None:
                return rows_that_may_be_best(scores, off, limit)
            return rows[rows_that_may_be_best(scores[rows], off, limit)]
        return self._candidates_by_faiss(query, limit, rows, total)

    def _candidates_by_faiss(
        self,
        query: NDArray[np.float32],
        limit: int,
        rows: NDArray[np.int64] | None,
        total: int,
    ) -> NDArray[np.int64]:
        parameters = None
        if rows is not None:
            bits = np.zeros(self.faiss_index.ntotal, dtype=bool)
            bits[rows] = True
            selector = faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))  # type: ignore[arg-type, call-arg]
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        wanted = limit
        while True:
            # FAISS breaks ties as it likes: look on until the last place's ties are all there.
            wanted = min(wanted + SPARE_CANDIDATES, total)
            scores, found = self._rows_index.search(query[np.newaxis], wanted, params=parameters)
            if wanted == total or scores[0, -1] < scores[0, limit - 1] - SCORE_ERROR:
                there: NDArray[np.int64] = found[0][found[0] >= 0]
                return there
            wanted *= 2

    @cached_property
    def _rows_index(self) -> faiss.Index:
        return faiss.downcast_index(self.faiss_index.index)  # type: ignore[attr-defined]

    @cached_property
    def _row_by_id(self) -> NDArray[np.int32]:
        """By image id; -1 for one that is not here. Ids are counted up, so there are few gaps."""
        ids = self.image_ids
        table = np.full(int(ids.max()) + 1 if len(ids) else 0, -1, dtype=np.int32)
        table[ids] = np.arange(len(ids), dtype=np.int32)
        return table

    @property
    def _few(self) -> int:
        return int(min(self.faiss_index.ntotal * FEW_SHARE, MOST_FEW))


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no such call
        return 8 * 1024**3
