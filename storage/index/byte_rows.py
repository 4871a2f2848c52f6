"""The file that a quick scan reads: written from the rows of a generation, and opened."""

from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.index.byte_part import ZERO, Part
from storage.index.loaded_index import LoadedIndex
from storage.index.mapped_parts import read_parts, write_parts
from storage.index.quick_scan import QuickScan

PART_ROWS = 32_768
"""A multiple of 8, so that a bitmap of all rows is cut between bytes. Some megabytes."""
READ_ROWS = 1024
"""At a time, so that indexing takes little more memory for a large library than for a small one."""


def write_bytes(path: Path, index: LoadedIndex) -> None:
    """Write all rows at a byte a number; memory is that of one part. Raises OSError,
    RuntimeError."""
    count = index.faiss_index.ntotal
    edges = ((at, min(at + PART_ROWS, count)) for at in range(0, count, PART_ROWS))
    write_parts(path, (_part(index, *edge) for edge in edges))


def _part(index: LoadedIndex, first: int, end: int) -> faiss.Index:
    """The rows from `first` to before `end`."""
    dim = index.faiss_index.d
    part = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    # FAISS would take the ranges from a sample, and cut off what is outside. They are of one
    # width, as large numbers with steps of their own would leave the query's others few.
    ranges_of = [(rows.min(axis=0), rows.max(axis=0)) for rows in _read(index, first, end)]
    lowest = np.min([low for low, _ in ranges_of], axis=0)
    highest = np.max([high for _, high in ranges_of], axis=0)
    width = np.full_like(lowest, (highest - lowest).max())
    ranges = np.concatenate([(lowest + highest - width) / 2, width])
    faiss.copy_array_to_vector(ranges, part.sq.trained)
    part.is_trained = True
    part.codes.resize((end - first) * dim)  # its memory at once, for `add` to fill
    part.codes.resize(0)
    for rows in _read(index, first, end):
        part.add(rows)
    # Where FAISS keeps how the ranges were found, which nobody asks for afterwards.
    part.sq.rangestat_arg = _longest(part)
    return part


def _read(index: LoadedIndex, first: int, end: int) -> Iterator[NDArray[np.float32]]:
    for at in range(first, end, READ_ROWS):
        yield index.embeddings(np.arange(at, min(at + READ_ROWS, end)))


def _longest(index: faiss.IndexScalarQuantizer) -> float:
    """The largest norm of a row, in steps from the middle of the ranges."""
    codes = faiss.rev_swig_ptr(index.codes.data(), index.codes.size()).reshape(-1, index.d)
    blocks = (codes[at : at + READ_ROWS] for at in range(0, len(codes), READ_ROWS))
    steps = (block.astype(np.float32) - ZERO for block in blocks)
    return max(float(np.linalg.norm(block, axis=1).max()) for block in steps)


def open_bytes(path: Path, count: int, dim: int) -> QuickScan | None:
    """None when the file is missing or damaged, or not of these rows."""
    there = read_parts(path)
    if there is None:
        return None
    indexes, mapped = there
    starts = np.cumsum([0, *(index.ntotal for index in indexes)]).tolist()
    parts = tuple(Part(index, start, mapped) for index, start in zip(indexes, starts, strict=False))
    if starts[-1] != count or {index.d for index in indexes} != {dim}:
        return None
    return QuickScan(parts)
