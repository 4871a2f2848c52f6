"""How long one query takes, by the size of the library: python -m bench.search_speed

Embeddings of 768 dimensions in clusters (local dimension 19). Queries are of two kinds: `picture`,
near one of them, and `text`, which stands off them all as the texts of a dual encoder do.

`file` is the index as it is mapped at start. Beside it, in turn with it: NumPy's matrix product
over the same rows in float32 on all cores, which recall is against; FAISS over the float16 rows
without the bytes beside them (`rows`); and the limit, which is adding up, on all cores, what a
query has to read. Then with several clients at once.
"""

import argparse
import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from storage.files import register_root
from storage.index.loaded_index import LoadedIndex
from storage.index.snapshot import Snapshot
from storage.index.vector_index import build_generation, open_index
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FileStat, IndexedFile, NewImage

DIM = 768
BLOCK = 5000
QUERIES = 50
CLUSTERS, LOCAL_DIM = 200, 19
TOP_K = 10
CLIENTS = (1, 4, 16)
CLIENT_SECONDS = 4.0
TURNS = 5
PAUSE_S = 0.1
"""NumPy's threads go on waiting busily for a while."""


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
        indexed = len(rows) - tail
        edges = sorted({*range(0, indexed, BLOCK), indexed, len(rows)})
        for start, stop in itertools.pairwise(edges):
            batch = Batch()
            for number in range(start, stop):
                sha256 = number.to_bytes(32, "big")
                batch.images[sha256] = NewImage(sha256, 1, 1, "jpeg", 1, "#000000")
                batch.embeddings[sha256] = rows[number]
                stat = FileStat(root.id, f"{number:08d}.jpg", 1, 1)
                batch.files.append(IndexedFile(stat, root.collection_id, sha256))
            writer.commit(batch, job, {})
            if stop == indexed:
                library.fold(writer, force=True)


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


@contextmanager
def opened(rows: np.ndarray, tail: int = 0) -> Iterator[tuple[Snapshot, dict[str, float]]]:
    """A snapshot of a generation of all but the last `tail` rows; ids count from 1."""
    count, dim = len(rows) - tail, rows.shape[1]
    ids = np.arange(1, len(rows) + 1, dtype=np.int64)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        edges = [(at, min(at + BLOCK, count)) for at in range(0, count, BLOCK)]
        blocks = ((ids[first:last], rows[first:last]) for first, last in edges)
        began = time.perf_counter()
        manifest = build_generation(folder, Space.fingerprint, dim, blocks, last_shard_id=1)
        built = time.perf_counter() - began
        began = time.perf_counter()
        index = open_index(folder, manifest)
        assert index is not None
        nothing = np.empty(0, dtype=np.int64)
        in_tail = rows[count:]
        snapshot = Snapshot(dim, 1, manifest, index, ids[count:], in_tail, nothing)
        ready = time.perf_counter()
        snapshot.nearest(rows[0], TOP_K)
        facts = {
            "build_s": built,
            "open_ms": (ready - began) * 1000,
            "first_query_ms": (time.perf_counter() - ready) * 1000,
            "bytes_a_picture": _held(folder, snapshot, index) / count,
        }
        yield snapshot, facts


def _read_file(folder: Path) -> Path:
    """What a query reads as a whole."""
    return min(folder.glob("*.faiss"), key=lambda path: path.stat().st_size)


def _held(folder: Path, snapshot: Snapshot, index: LoadedIndex) -> int:
    """Bytes: the file, and the tables of ids."""
    index.rows_of(snapshot.image_ids[:1])
    tables = (snapshot.image_ids, index.image_ids, index._row_by_id)
    return _read_file(folder).stat().st_size + sum(table.nbytes for table in tables)


def sum_of(read: np.ndarray) -> Callable[[np.ndarray], object]:
    """Adds it up on all cores."""
    cores = os.cpu_count() or 1
    parts = np.array_split(read[: len(read) // 8 * 8].view(np.uint64), cores)
    pool = ThreadPoolExecutor(cores)
    return lambda _: list(pool.map(np.bitwise_or.reduce, parts))


def measure(count: int) -> dict[str, float]:
    random = np.random.default_rng(0)
    rows = clustered(count, random)
    kinds = queries_of(rows, random)
    result: dict[str, float] = {"pictures": count}
    with opened(rows) as (snapshot, facts):
        result |= facts
        assert snapshot.index is not None
        # As many bytes as a query reads, which the file's own pages may not be aligned for.
        # Not zeros: those would all be one page.
        read = np.ones(int(facts["bytes_a_picture"] * count), dtype=np.uint8)
        plain = replace(snapshot, index=LoadedIndex(snapshot.index.faiss_index))
        ways: dict[str, Callable[[np.ndarray], object]] = {
            "file": lambda query: snapshot.nearest(query, TOP_K),
            "rows": lambda query: plain.nearest(query, TOP_K),
            "numpy_float32": lambda query: rows @ query,
            "limit": sum_of(read),
        }
        for kind, queries in kinds.items():
            for way, (middle, slow) in in_turn(ways, queries).items():
                result[f"{way}_ms_{kind}"] = middle
                result[f"{way}_p99_ms_{kind}"] = slow
            agree = [
                len(set(snapshot.nearest(query, TOP_K).image_ids - 1) & set(best(rows, query)))
                for query in queries
            ]
            result[f"recall_at_10_{kind}"] = float(np.mean(agree)) / TOP_K
        queries = np.concatenate(list(kinds.values()))
        for clients in CLIENTS:
            rate, slow = at_once(ways["file"], queries, clients)
            result[f"queries_per_s_{clients}_clients"] = rate
            result[f"p99_ms_{clients}_clients"] = slow
    return result


def in_turn(
    ways: dict[str, Callable[[np.ndarray], object]], queries: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Of each way p50 and p99 in ms; the ways take turns, so that all meet the same machine."""
    took: dict[str, list[float]] = {way: [] for way in ways}
    for some in np.array_split(queries, TURNS):
        for way, call in ways.items():
            time.sleep(PAUSE_S)
            for query in some:
                began = time.perf_counter()
                call(query)
                took[way].append((time.perf_counter() - began) * 1000)
    return {
        way: (float(np.median(times)), float(np.percentile(times, 99)))
        for way, times in took.items()
    }


def at_once(
    call: Callable[[np.ndarray], object], queries: np.ndarray, clients: int
) -> tuple[float, float]:
    """→ queries a second of all clients, and p99 in ms."""
    took: list[float] = []
    ends = time.perf_counter() + CLIENT_SECONDS

    def ask(first: int) -> None:
        for number in itertools.count(first):
            began = time.perf_counter()
            if began > ends:
                return
            call(queries[number % len(queries)])
            took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=ask, args=(7 * number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - began
    return len(took) / passed, float(np.percentile(took, 99)) * 1000


def best(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    return np.argpartition(-(rows @ query), TOP_K)[:TOP_K]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results = [measure(size) for size in options.sizes]
    print("| | " + " | ".join(f"{row['pictures']:,}" for row in results) + " |")
    print("|-" * (len(results) + 1) + "|")
    for name in results[0]:
        print(f"| {name} | " + " | ".join(f"{row[name]:,.4g}" for row in results) + " |")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
