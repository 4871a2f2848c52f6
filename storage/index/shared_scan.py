"""Several queries by one reading of the rows that a quick scan has.

A query alone is answered as fast as the memory can be read, and each of sixteen would read all of
it again. A product of the rows with all the queries reads it once: NumKong makes it of 8-bit
integers, exactly, with what the processor has for that. What a row scores, and by how much that may
be off, is as in the quick scan (`byte_part.py`), and so is the answer.
"""

import threading
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

import numkong
import numpy as np
from numpy.typing import NDArray

from storage.index.byte_part import ZERO, Part, Query, Reading, Rows
from storage.index.mapped_parts import in_parallel

Products = NDArray[np.int32]
Number = TypeVar("Number", bound=np.generic)

INT32 = np.iinfo(np.int32)


def scan_together(parts: Sequence[Part], queries: Sequence[Query]) -> list[Rows]:
    """Of each query, rows among which the true best are, with every tie of the last of them."""
    scan = _SharedScan(max(part.count for part in parts), queries)
    in_parallel(lambda at: scan.read(parts[at]), range(len(parts)))
    return [seen.candidates() for seen in scan.seen]


class _SharedScan:
    def __init__(self, most_rows: int, queries: Sequence[Query]) -> None:
        self._queries = queries
        self.seen = [_Seen(query.limit) for query in queries]
        self._most_rows = most_rows
        self._unused: SimpleQueue[numkong.Tensor] = SimpleQueue()
        """Memory for products: given back after each part, it would come again page by page."""

    def read(self, part: Part) -> None:
        readings = [part.reading(query.vector) for query in self._queries]
        memory = self._memory()
        for products, reading, query, seen in zip(
            _products(part.codes, readings, memory), readings, self._queries, self.seen, strict=True
        ):
            reached = seen.reached
            if reached == -np.inf:
                reached = _reached_by(products, reading, query, part)
            hits = np.flatnonzero(products >= _least_product(reading, reached))
            rows = part.start + hits
            if query.chosen is not None:
                keep = query.chosen.mask[rows]
                rows, hits = rows[keep], hits[keep]
            if len(rows):
                seen.add(rows, reading.scores(products[hits]), reading.off)
        self._unused.put(memory)

    def _memory(self) -> numkong.Tensor:
        try:
            return self._unused.get_nowait()
        except Empty:
            shape = (self._most_rows, len(self._queries) + 1)
            return numkong.empty(shape, dtype="uint32")


class _Seen:
    """Rows that may be among the best of one query. Safe to share between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._best = np.empty(0)
        """What the best `limit` score at least."""
        self._found: list[tuple[Rows, NDArray[np.float64]]] = []
        """Rows, and what they score at most."""

    @property
    def reached(self) -> float:
        """What the true best `limit` score at least; −inf where so many were not seen."""
        best = self._best
        return float(best.min()) if len(best) == self._limit else -np.inf

    def add(self, rows: Rows, scores: NDArray[np.float64], off: float) -> None:
        with self._lock:
            self._found.append((rows, scores + off))
            best = np.concatenate([self._best, scores - off])
            self._best = _largest(best, self._limit)

    def candidates(self) -> Rows:
        none: list[Rows] = [np.empty(0, dtype=np.int64)]
        return np.concatenate(
            none + [rows[at_most >= self.reached] for rows, at_most in self._found]
        )


def _products(
    codes: NDArray[np.uint8], readings: Sequence[Reading], memory: numkong.Tensor
) -> Iterator[Products]:
    """Of each query in turn its product with every row, as FAISS reads a row.

    The product is of unsigned numbers: a query is raised by ZERO, and what that adds to a row's
    product is known from its product with ones. memory: (rows or more, queries + 1).
    """
    queries = np.stack([reading.query for reading in readings]).astype(np.int32)
    ones = np.ones((1, codes.shape[1]), dtype=np.uint8)
    raised = np.concatenate([(queries + ZERO).astype(np.uint8), ones])
    out = memory[: len(codes)]
    # It takes a Tensor of its own, whatever its stub says.
    numkong.dots_packed(codes, numkong.dots_pack(raised), out=out)  # type: ignore[arg-type]
    made = np.asarray(out).view(np.int32)
    of_ones = ZERO * made[:, -1]
    for column, query in enumerate(queries):
        yield made[:, column] - of_ones - ZERO * int(query.sum())


def _reached_by(products: Products, reading: Reading, query: Query, part: Part) -> float:
    """What the best `limit` of the part score at least; −inf where it has not so many."""
    if query.chosen is not None:
        products = products[query.chosen.mask[part.start : part.start + part.count]]
    if len(products) < query.limit:
        return -np.inf
    last = _largest(products, query.limit).min()
    return float(reading.scores(last)) - reading.off


def _least_product(reading: Reading, reached: float) -> int:
    """No row of a smaller product may score so much."""
    if reached == -np.inf:
        return INT32.min
    least = np.floor((reached - reading.off - reading.middle) / reading.step) - 1
    return int(np.clip(least, INT32.min, INT32.max))


def _largest(numbers: NDArray[Number], count: int) -> NDArray[Number]:
    if len(numbers) <= count:
        return numbers
    return np.partition(numbers, len(numbers) - count)[len(numbers) - count :]
