"""One FAISS generation as a reader uses it: which pictures it holds, and which come near."""

from dataclasses import dataclass
from functools import cached_property

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.index.chosen_rows import ChosenRows
from storage.index.mapped_parts import in_parallel, threads
from storage.index.quick_scan import QuickScan

SCORE_ERROR = 1e-5
"""More than a score that was added up in float32 can be off by, twice, and rounded."""
SPARE_CANDIDATES = 8
FEW_SHARE = 1 / 50
"""Of the index; fewer rows than this are read one by one, more are left to FAISS and a bitmap."""
MOST_FEW, MOST_FEW_OF_A_SCAN = 10_000, 1_000
MANY_CANDIDATES, SCORED_ROWS = 1_000, 512
"""So many are worth a look in float32 first, by all cores; rows at a time."""


@dataclass(eq=False)
class LoadedIndex:
    """Rows are numbered from 0 in the order of the file. Safe to use from many threads."""

    faiss_index: faiss.Index
    """Image ids over an index that can give its rows back."""
    scan: QuickScan | None = None
    """Without one FAISS scans the rows themselves."""

    @cached_property
    def image_ids(self) -> NDArray[np.int64]:
        """(rows,) in the order of the rows."""
        ids: NDArray[np.int64] = faiss.vector_to_array(self.faiss_index.id_map)  # type: ignore[attr-defined]
        return ids

    @cached_property
    def ascending_ids(self) -> NDArray[np.int64]:
        """(rows,); mostly they are in that order already."""
        ids = self.image_ids
        return ids if bool((ids[1:] > ids[:-1]).all()) else np.sort(ids)

    def rows_of(self, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of those among `image_ids` that are here, in the order given."""
        table = self._row_by_id
        # A filter may let a million through, and copying those takes milliseconds.
        if len(image_ids) and (image_ids.min() < 0 or image_ids.max() >= len(table)):
            image_ids = image_ids[(image_ids >= 0) & (image_ids < len(table))]
        rows = table[image_ids]
        if (rows < 0).any():
            rows = rows[rows >= 0]
        return rows.astype(np.int64)

    def embeddings(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, dim)"""
        found: NDArray[np.float32] = self._rows_index.reconstruct_batch(rows)
        return found

    def prepare(self) -> None:
        """Do what the first query would otherwise take longer for: tables of ids, and the pages
        of the file that a query reads."""
        self.rows_of(self.ascending_ids[:1])
        if self.scan is not None:
            self.scan.prepare()

    def chosen(self, image_ids: NDArray[np.int64]) -> ChosenRows:
        """Those of `image_ids` that are here, no id twice."""
        return ChosenRows(self.rows_of(image_ids), self.faiss_index.ntotal)

    def answers_exactly(self, limit: int, chosen: ChosenRows | None) -> bool:
        """Whether `candidates` misses none."""
        return True

    def candidates(
        self, query: NDArray[np.float32], limit: int, chosen: ChosenRows | None
    ) -> NDArray[np.int64]:
        """Rows among which the best `limit` are, with every tie of the last of them.

        chosen: only these; None for all.
        """
        total = self.faiss_index.ntotal if chosen is None else len(chosen)
        if chosen is not None and total <= max(limit, self._few):
            return chosen.rows
        if not total:
            return np.empty(0, dtype=np.int64)
        if self.scan is not None:
            return self.scan.candidates(query, limit, chosen)
        return self._candidates_by_faiss(query, limit, chosen, total)

    def nearest_of(
        self, rows: NDArray[np.int64], query: NDArray[np.float32], limit: int
    ) -> NDArray[np.int64]:
        """Those of many rows that may be the best `limit`, as far as float32 tells."""
        if len(rows) <= max(MANY_CANDIDATES, 2 * limit):
            return rows
        parts = [rows[at : at + SCORED_ROWS] for at in range(0, len(rows), SCORED_ROWS)]

        def score(at: int) -> NDArray[np.float32]:
            scores: NDArray[np.float32] = np.einsum("ij,j->i", self.embeddings(parts[at]), query)
            return scores

        scores = np.concatenate([*in_parallel(score, range(len(parts))).values()])
        last = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        nearest: NDArray[np.int64] = rows[scores >= last - SCORE_ERROR]
        return nearest

    def _candidates_by_faiss(
        self,
        query: NDArray[np.float32],
        limit: int,
        chosen: ChosenRows | None,
        total: int,
    ) -> NDArray[np.int64]:
        parameters = None
        if chosen is not None:
            selector = faiss.IDSelectorBitmap(chosen.bits)  # type: ignore[arg-type, call-arg]
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        wanted = limit
        while True:
            # FAISS breaks ties as it likes: look on until the last place's ties are all there.
            wanted = min(wanted + SPARE_CANDIDATES, total)
            # In a thread in which FAISS makes none of its own, which have nothing to do here.
            scores, found = (
                threads()
                .submit(self._rows_index.search, query[np.newaxis], wanted, params=parameters)
                .result()
            )
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
        most = MOST_FEW if self.scan is None else MOST_FEW_OF_A_SCAN
        return int(min(self.faiss_index.ntotal * FEW_SHARE, most))
