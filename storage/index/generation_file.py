"""An index's file, written block by block.

FAISS writes files of indexes that it holds in memory, which for a whole library are gigabytes. But
the file of a float16 index with ids over it is a head, the rows as they are, and the ids. The head
is FAISS's own; whether the installed FAISS lays out the rest in this way is seen by having it write
a few rows for comparison. If it does not, it writes them all.
"""

import errno
import shutil
from collections.abc import Iterable, Mapping
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import faiss
import numpy as np
from numpy.typing import NDArray

SAMPLE_ROWS = 64
"""So many FAISS writes for comparison, and so many are read back from either end of the file."""
_LENGTH = np.dtype(np.uint64)
"""One stands before the rows and one before the ids."""

Rows = tuple[NDArray[np.int64], NDArray[np.float16]]
"""(n,) image ids and their (n, dim) embeddings."""


def write_index_file(path: Path, empty: faiss.Index, blocks: Iterable[Rows]) -> int:
    """Write `empty` with `blocks` in it; memory does not grow with their number.

    Returns how many rows there are. Raises OSError, RuntimeError.
    """
    filled = (block for block in blocks if len(block[0]))
    first = next(filled, None)
    if first is None:
        return _write_by_faiss(path, empty, [])
    beginning = _part(first, slice(SAMPLE_ROWS))
    blocks = chain([first], filled)
    if not _is_laid_out_as_here(empty, beginning):
        return _write_by_faiss(path, empty, blocks)
    del first
    # The ids come last in the file, and wait beside it till then.
    with (
        path.open("wb") as file,
        TemporaryFile(dir=path.parent, prefix=".ids-", suffix=".tmp") as ids,
    ):
        count, end = _write(file, ids, empty, blocks)
    _read_back(path, count, {0: beginning, count - len(end[0]): end})
    return count


def _write_by_faiss(path: Path, empty: faiss.Index, blocks: Iterable[Rows]) -> int:
    index = _filled(empty, blocks)
    faiss.write_index(index, str(path))
    return int(index.ntotal)


def _filled(empty: faiss.Index, blocks: Iterable[Rows]) -> faiss.Index:
    index = faiss.clone_index(empty)
    for image_ids, embeddings in blocks:
        index.add_with_ids(np.ascontiguousarray(embeddings, dtype=np.float32), image_ids)
    return index


def _is_laid_out_as_here(empty: faiss.Index, sample: Rows) -> bool:
    ours = BytesIO()
    try:
        _write(ours, BytesIO(), empty, [sample])
    except (RuntimeError, AttributeError):  # it has no index of rows inside, or won't be cut short
        return False
    theirs = faiss.serialize_index(_filled(empty, [sample]))
    return ours.getvalue() == theirs.tobytes()


def _write(
    file: IO[bytes], ids: IO[bytes], empty: faiss.Index, blocks: Iterable[Rows]
) -> tuple[int, Rows]:
    """Returns how many rows there are, and the last of them.

    ids: empty, to put the ids by until all rows are written.
    """
    count = 0
    block = None
    file.write(_head(empty, count))
    for block in blocks:
        file.write(np.ascontiguousarray(block[1], dtype=np.float16).tobytes())
        ids.write(np.ascontiguousarray(block[0], dtype=np.int64).tobytes())
        count += len(block[0])
    assert block is not None
    file.write(_LENGTH.type(count).tobytes())
    ids.seek(0)
    shutil.copyfileobj(ids, file)
    file.seek(0)
    file.write(_head(empty, count))
    return count, _part(block, slice(-SAMPLE_ROWS, None))


def _head(empty: faiss.Index, count: int) -> bytes:
    """What stands before `count` rows; as long for any number of them."""
    index = faiss.clone_index(empty)
    inner = faiss.downcast_index(index.index)  # type: ignore[attr-defined]
    index.ntotal = inner.ntotal = count
    # It says how many there are and has none, so it ends in two lengths of nothing.
    head = faiss.serialize_index(index).tobytes()[: -2 * _LENGTH.itemsize]
    return head + _LENGTH.type(count * index.d * np.dtype(np.float16).itemsize).tobytes()


def _part(block: Rows, which: slice) -> Rows:
    """Copied, so that the rest of the block is not held."""
    return block[0][which].copy(), block[1][which].copy()


def _read_back(path: Path, count: int, samples: Mapping[int, Rows]) -> None:
    """Raises OSError when the file does not hold what was written.

    samples: by the number of their first row.
    """
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    inner = faiss.downcast_index(index.index)  # type: ignore[attr-defined]
    id_map = index.id_map  # type: ignore[attr-defined]
    ids = faiss.rev_swig_ptr(id_map.data(), id_map.size())  # a view
    sound = index.ntotal == inner.ntotal == len(ids) == count
    for start, (image_ids, embeddings) in samples.items():
        end = start + len(image_ids)
        sound = sound and np.array_equal(ids[start:end], image_ids)
        sound = sound and np.array_equal(inner.reconstruct_n(start, end - start), embeddings)
    if not sound:
        raise OSError(errno.EIO, "an index reads otherwise than it was written", str(path))
