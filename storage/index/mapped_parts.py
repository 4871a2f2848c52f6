"""A file of several FAISS indexes, one behind the other, which is mapped and searched in parts."""

import hashlib
import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

Result = TypeVar("Result")

DIGEST_BYTES = 32
"""At the end of the file stands its SHA-256."""


def write_parts(path: Path, parts: Iterable[faiss.Index]) -> None:
    """Memory is that of one part. Raises OSError, RuntimeError."""
    writer = faiss.FileIOWriter(str(path))
    for part in parts:
        faiss.write_index(part, writer)
        del part  # or it would be held while the next one is made
    del writer  # closes the file
    with path.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, os.SEEK_END)
        file.write(digest)


def read_parts(path: Path) -> tuple[list[faiss.Index], NDArray[np.uint8]] | None:
    """The parts and the mapped file, which is to be kept as long as they are.

    None when the file is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content = np.frombuffer(mapped, dtype=np.uint8)[:-DIGEST_BYTES]
        reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(content), content.size)  # type: ignore[attr-defined]
        parts = []
        while reader.rp_ < content.size:
            parts.append(faiss.read_index(reader, 0))
    except (OSError, ValueError, RuntimeError, MemoryError):  # the last two are FAISS's
        return None
    return parts, content


def read_ahead(path: Path) -> None:
    """Have the system read a file before it is searched, where it takes such advice."""
    with (
        suppress(OSError),  # a writer may just have removed it
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        if hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_WILLNEED)


def is_as_written(path: Path) -> bool:
    """Whether the file's SHA-256 is the one at its end. Reads all of it. Raises OSError."""
    digest, left = hashlib.sha256(), path.stat().st_size - DIGEST_BYTES
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, 1 << 22))):
            digest.update(block)
            left -= len(block)
        return file.read() == digest.digest()


def touch_pages(content: NDArray[np.uint8]) -> None:
    """Have the system map all pages now, and not one by one under the first query."""
    np.bitwise_or.reduce(content[:: mmap.PAGESIZE])


def in_parallel(do: Callable[[int], Result], places: Sequence[int]) -> dict[int, Result]:
    """By place, in their order. A thread a core takes one after the other: handing each out for
    itself would take longer than some of them do."""
    left = iter(list(places))

    def take() -> dict[int, Result]:
        return {place: do(place) for place in left}

    tasks = [threads().submit(take) for _ in range(min(os.cpu_count() or 1, len(places)))]
    results = {place: result for task in tasks for place, result in task.result().items()}
    return {place: results[place] for place in places}


@cache
def threads() -> ThreadPoolExecutor:
    """Each has a core for itself: FAISS's own threads would only wait for one another."""
    return ThreadPoolExecutor(
        os.cpu_count() or 1, "scan", initializer=faiss.omp_set_num_threads, initargs=(1,)
    )
