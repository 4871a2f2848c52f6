"""How long one query takes, by the size of the library: python -m bench.search_speed

Embeddings of 768 dimensions in clusters (local dimension 19). Queries are of two kinds: `picture`,
near one of them, and `text`, which stands off them all as the texts of a dual encoder do. The
limit is one pass of NumPy's matrix product over the same rows in float32, on all cores; recall is
against it. `file` is the index as it is mapped at start, `packed` as a server keeps it
(storage/index/quick_scan.py).
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
from storage.index.loaded_index import LoadedIndex
from storage.index.quick_scan import can_scan_quickly
from storage.index.snapshot import Snapshot
from storage.index.vector_index import build_generation, load_index
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FileStat, IndexedFile, NewImage

DIM = 768
BLOCK = 5000
QUERIES = 50
CLUSTERS, LOCAL_DIM = 200, 19
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


def clustered(count: int, random: np.random.Generator) -> np.ndarray:
    """(count, DIM) float32, each as the shards hold it."""
    centres = random.standard_normal((CLUSTERS, DIM), dtype=np.float32)
    spread = 0.4 * random.standard_normal((CLUSTERS, LOCAL_DIM, DIM), dtype=np.float32)
    rows = np.empty((count, DIM), dtype=np.float32)
    for start in range(0, count, BLOCK):
        cluster = random.integers(0, CLUSTERS)
        size = min(BLOCK, count - start)
        within = random.standard_normal((size, LOCAL_DIM), dtype=np.float32) @ spread[cluster]
        noise = 0.2 * random.standard_normal((size, DIM), dtype=np.float32)
        rows[start : start + size] = unit(centres[cluster] + within + noise)
        rows[start : start + size] = rows[start : start + size].astype(np.float16)
    return rows


def queries_of(rows: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
    near = rows[random.integers(0, len(rows), QUERIES)]
    noise = random.standard_normal((QUERIES, DIM), dtype=np.float32) / DIM**0.5
    gap = random.standard_normal(DIM, dtype=np.float32) / DIM**0.5
    return {"picture": unit(near + 0.3 * noise), "text": unit(0.25 * near + 0.3 * noise + gap)}


def measure(count: int) -> dict[str, float]:
    random = np.random.default_rng(0)
    rows = clustered(count, random)
    kinds = queries_of(rows, random)
    ids = np.arange(1, count + 1, dtype=np.int64)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        blocks = ((ids[at : at + BLOCK], rows[at : at + BLOCK]) for at in range(0, count, BLOCK))
        began = time.perf_counter()
        manifest = build_generation(folder, Space.fingerprint, DIM, blocks, last_shard_id=1)
        built = time.perf_counter() - began
        began = time.perf_counter()
        index = LoadedIndex(load_index(folder, manifest))
        nothing = np.empty(0, dtype=np.int64)
        tail = np.empty((0, DIM), dtype=np.float16)
        snapshot = Snapshot(DIM, 1, manifest, index, nothing, tail, nothing)
        opened = time.perf_counter() - began
        result = {"pictures": count, "build_s": built, "open_s": opened}
        for kind, queries in kinds.items():
            result[f"numpy_float32_ms_{kind}"] = milliseconds(lambda query: rows @ query, queries)
        for way in ("file", "packed"):
            if way == "packed":
                if not can_scan_quickly():
                    break
                began = time.perf_counter()
                index.prepare_scan()
                result["pack_s"] = time.perf_counter() - began
            for kind, queries in kinds.items():
                found = [snapshot.nearest(query, TOP_K).image_ids - 1 for query in queries]
                agree = [
                    len(set(ids) & set(best(rows, query)))
                    for ids, query in zip(found, queries, strict=True)
                ]
                result[f"recall_at_10_{way}_{kind}"] = float(np.mean(agree)) / TOP_K
                result[f"{way}_ms_{kind}"] = milliseconds(
                    lambda query: snapshot.nearest(query, TOP_K), queries
                )
    return result


def best(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    return np.argpartition(-(rows @ query), TOP_K)[:TOP_K]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results = []
    columns: list[str] = []
    for size in options.sizes:
        row = measure(size)
        results.append(row)
        if not columns:
            columns = list(row)
            print("| " + " | ".join(columns) + " |")
            print("|-" * len(columns) + "|")
        print("| " + " | ".join(f"{row[name]:,.5g}" for name in columns) + " |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
