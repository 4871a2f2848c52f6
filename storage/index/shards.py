"""Parquet shards: the durable embeddings."""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.atomic import make_folder, write_atomic
from storage.errors import LibraryDamaged


@dataclass(frozen=True)
class WrittenShard:
    name: str
    row_count: int
    size_bytes: int
    sha256: bytes


def write_shard(
    folder: Path, image_ids: NDArray[np.int64], embeddings: NDArray[np.float32]
) -> WrittenShard:
    """Write (n,) ids and (n, dim) embeddings, as float16, durably under a name never used before.

    The shard does not count until the catalog names it.
    """
    count, dim = embeddings.shape
    values = pa.array(embeddings.astype(np.float16).ravel())
    table = pa.table(
        {
            "image_id": pa.array(image_ids, pa.int64()),
            "embedding": pa.FixedSizeListArray.from_arrays(values, dim),
        }
    )
    name = f"part-{int(image_ids.min()):012d}-{uuid.uuid4().hex[:12]}.parquet"
    path = folder / name
    make_folder(folder)
    # Embeddings do not compress, and a dictionary of them is a second copy.
    write_atomic(
        path, lambda to: pq.write_table(table, to, compression="none", use_dictionary=False)
    )
    content = path.read_bytes()
    return WrittenShard(name, count, len(content), hashlib.sha256(content).digest())


def read_shard(folder: Path, name: str) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """(n,) image ids and (n, dim) float16 embeddings. Raises LibraryDamaged."""
    path = folder / name
    try:
        table = pq.read_table(path, memory_map=True)
    except (OSError, pa.ArrowException) as error:
        raise LibraryDamaged(
            f"The embeddings {path} can't be read ({error}). "
            "Restore the file from a backup, or index the pictures again."
        ) from error
    embeddings = table["embedding"].combine_chunks()
    dim = embeddings.type.list_size
    flat = embeddings.flatten().to_numpy(zero_copy_only=False)
    return table["image_id"].to_numpy(), flat.reshape(-1, dim)
