"""How long one query takes, by the size of the library: python -m bench.search_speed

Random embeddings of 768 dimensions, written through the library's own commit and index code. The
limit is one pass of NumPy's matrix product over the same rows in float32; recall is against it.
"""

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage.files import register_root
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FileStat, IndexedFile, NewImage

DIM = 768
BLOCK = 5000
QUERIES = 50
TOP_K = 10


@dataclass(frozen=True)
class Space:
    fingerprint: str = "be" * 32
    checkpoint: str = "bench"
    revision: str | None = None
    dim: int = DIM


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def fill(library: Library, rows: np.ndarray, tail: int, space: Space | None = None) -> None:
    """Commit all rows; the last `tail` of them after the index was built."""
    with library.writer("bench", space or Space()) as writer:
        job = start_job(library.engine, "bench", "bench", [])
        root = register_root(library.engine, Path("/bench"), None)
        edges = [*range(0, len(rows) - tail, BLOCK), len(rows) - tail, len(rows)]
        for start, stop in itertools.pairwise(edges):
            batch = Batch()
            for number in range(start, stop):
                sha256 = number.to_bytes(32, "big")
                batch.images[sha256] = NewImage(sha256, 1, 1, "jpeg", 1, "#000000")
                batch.embeddings[sha256] = rows[number]
                stat = FileStat(root.id, f"{number:08d}.jpg", 1, 1)
                batch.files.append(IndexedFile(stat, root.collection_id, sha256))
            writer.commit(batch, job, {})
            if stop == len(rows) - tail:
                library.fold(writer, force=True)


def milliseconds(call, queries: np.ndarray) -> float:
    took = []
    for query in queries:
        began = time.perf_counter()
        call(query)
        took.append(time.perf_counter() - began)
    return float(np.median(took)) * 1000


def measure(count: int) -> dict[str, float]:
    random = np.random.default_rng(0)
    rows = unit(random.normal(size=(count, DIM)))
    queries = unit(random.normal(size=(QUERIES, DIM)))
    with tempfile.TemporaryDirectory() as folder:
        library = Library.open(Path(folder), create=True)
        began = time.perf_counter()
        fill(library, rows, tail=count // 100)
        filled = time.perf_counter() - began
        reader = library.reader(library.active_space())
        began = time.perf_counter()
        snapshot = reader.current()
        opened = time.perf_counter() - began
        agree = [
            len(set(snapshot.nearest(query, TOP_K).image_ids - 1) & set(best(rows, query)))
            for query in queries
        ]
        result = {
            "pictures": count,
            "recall_at_10": float(np.mean(agree)) / TOP_K,
            "query_ms": milliseconds(lambda query: snapshot.nearest(query, TOP_K), queries),
            "numpy_float32_ms": milliseconds(lambda query: rows @ query, queries),
            "refresh_check_ms": milliseconds(lambda _: reader.current(), queries),
            "open_s": opened,
            "commit_and_build_s": filled,
        }
        library.close()
    return result


def best(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    return np.argpartition(-(rows @ query), TOP_K)[:TOP_K]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results = []
    print("pictures  recall@10  query ms  NumPy float32 ms  ratio  refresh check ms  open s")
    for size in options.sizes:
        row = measure(size)
        results.append(row)
        print(
            f"{size:8,d}  {row['recall_at_10']:9.3f}  {row['query_ms']:8.2f}  "
            f"{row['numpy_float32_ms']:16.2f}  "
            f"{row['query_ms'] / row['numpy_float32_ms']:5.2f}  "
            f"{row['refresh_check_ms']:16.2f}  {row['open_s']:6.2f}"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
