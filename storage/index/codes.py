"""Short codes of the rows of a large index, kept beside it, that name the rows worth reading.

Two of each row: a bit a number (RaBitQ, Gao & Long, 2024), by which all rows are scanned, and four
bits a number (a scalar quantizer), by which the best of those are put in order; together five
eighths of a byte a number, where the rows take two bytes. Both are of rows turned by a fixed random
rotation, without which a few large numbers, as towers have them, would decide alone.

All rows are scanned, none by the list that it is in: a text stands off all pictures, so that the
lists nearest to it say little, and a filter would leave lists empty.

FAISS searches for one query on one thread, so there are as many parts as cores, and each thread
searches one.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.index.loaded_index import LoadedIndex
from storage.index.mapped_parts import read_parts, threads, write_parts

SCAN_QUERY_BITS = 4
"""Of each number of the query in the scan: fewer find less, and 8 no more (3 million rows, queries
like texts: recall@10 .980 with 2, .995 with 3, .998 with 4)."""
TRAINED_ON = 32_768
"""Rows, for their mean and their ranges."""
BLOCK_ROWS = 16_384
"""Coded at a time."""
MOST_PARTS = 16
PART_MULTIPLE = 8
"""Rows of a part: a bitmap of all rows is then cut between bytes."""

Bitmap = NDArray[np.uint8]
"""Of the rows to be searched; a bit a row, the lowest first."""


@dataclass(frozen=True, eq=False)
class Codes:
    """Safe to use from many threads."""

    parts: tuple[faiss.Index, ...]
    """Each of the rows that follow those of the one before."""
    mapped: NDArray[np.uint8]
    """The file, which the parts read; they do not keep it open themselves."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, dim)"""
        dims = {part.d for part in self.parts}
        return sum(part.ntotal for part in self.parts), dims.pop() if len(dims) == 1 else 0

    def nearest(
        self, query: NDArray[np.float32], limit: int, looked_at: int, chosen: Bitmap | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best `limit` rows of each part and their scores, the best first, all roughly.

        looked_at: how many of each part the scan leaves. chosen: only these; None for all.
        """
        starts = np.cumsum([0, *(part.ntotal for part in self.parts)])
        tasks = [
            threads().submit(_search, part, query, (limit, looked_at), _cut(chosen, start, part))
            for part, start in zip(self.parts, starts, strict=False)
        ]
        found = [task.result() for task in tasks]
        rows = np.concatenate(
            [near + start for (_, near), start in zip(found, starts, strict=False)]
        )
        scores = np.concatenate([scores for scores, _ in found])
        best = np.argsort(-scores, kind="stable")
        return rows[best], scores[best]


def _search(
    part: faiss.Index,
    query: NDArray[np.float32],
    counts: tuple[int, int],
    chosen: Bitmap | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    selector = None if chosen is None else faiss.IDSelectorBitmap(chosen)  # type: ignore[arg-type, call-arg]
    limit, looked_at = (min(count, part.ntotal) for count in counts)
    scan = faiss.RaBitQSearchParameters(  # type: ignore[call-arg]
        qb=SCAN_QUERY_BITS, centered=True, sel=selector
    )
    refine = faiss.IndexRefineSearchParameters(  # type: ignore[call-arg]
        k_factor=looked_at / limit, base_index_params=scan
    )
    turned = faiss.SearchParametersPreTransform(index_params=refine)  # type: ignore[call-arg]
    scores, rows = part.search(query[np.newaxis], limit, params=turned)
    there = rows[0] >= 0
    return scores[0][there], rows[0][there]


def _cut(chosen: Bitmap | None, start: int, part: faiss.Index) -> Bitmap | None:
    if chosen is None:
        return None
    return chosen[start // 8 : (start + part.ntotal + 7) // 8]


def write_codes(path: Path, index: LoadedIndex) -> None:
    """Write the codes of all rows; memory is that of one part. Raises OSError, RuntimeError."""
    count = index.faiss_index.ntotal
    sample = index.embeddings(_sample(count))
    write_parts(path, (_part(index, sample, *edge) for edge in _edges(count)))


def _part(index: LoadedIndex, sample: NDArray[np.float32], start: int, stop: int) -> faiss.Index:
    part = _empty(sample.shape[1])
    part.train(sample)
    for at in range(start, stop, BLOCK_ROWS):
        part.add(index.embeddings(np.arange(at, min(at + BLOCK_ROWS, stop), dtype=np.int64)))
    return part


def _empty(dim: int) -> faiss.IndexPreTransform:
    product = faiss.METRIC_INNER_PRODUCT
    scan = faiss.IndexRaBitQ(dim, product, 1)
    order = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_4bit, product)
    rotation = faiss.RandomRotationMatrix(dim, dim)
    return faiss.IndexPreTransform(rotation, faiss.IndexRefine(scan, order))


def _sample(count: int) -> NDArray[np.int64]:
    if count <= TRAINED_ON:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(0).choice(count, TRAINED_ON, replace=False))


def _edges(count: int) -> Iterator[tuple[int, int]]:
    parts = min(os.cpu_count() or 1, MOST_PARTS)
    size = -(-count // parts // PART_MULTIPLE) * PART_MULTIPLE
    return ((start, min(start + size, count)) for start in range(0, count, size))


def load_codes(path: Path) -> Codes | None:
    """The codes, mapped into memory; None when the file is missing or damaged."""
    there = read_parts(path)
    return Codes(tuple(there[0]), there[1]) if there is not None else None
