"""Libraries too large to be read whole for a query: python -m bench.large_index --pictures 3000000

Embeddings as in bench.search_speed, made and indexed block by block. Queries are of two kinds:
`picture`, near one of them, and `text`, which stands off them all as the texts of a dual encoder
do. Recall and the limit (`exact`, FAISS over the same rows as they are mapped) are of the same run.
A filter lets through pictures at random, or whole runs of them, as folders are. Time at 10 million
is this time by the size, as if nothing were fixed.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.search_speed import BLOCK, CLUSTERS, DIM, LOCAL_DIM, Space, unit
from storage.index import kinds
from storage.index.loaded_index import LoadedIndex
from storage.index.snapshot import Snapshot
from storage.index.vector_index import build_generation, load_index, open_index

TOP_K = 10
SHARES = (0.5, 0.05, 0.005)
EXACT_QUERIES = 5
RUN = 500
"""Pictures that a filter by folder lets through or not, together."""
FAR = 10_000_000
Kinds = dict[str, np.ndarray]
Allowed = dict[str, np.ndarray | None]


def blocks(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ids from 0 on, and (n, DIM) float16."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((CLUSTERS, DIM), dtype=np.float32)
    spread = 0.4 * random.standard_normal((CLUSTERS, LOCAL_DIM, DIM), dtype=np.float32)
    for start in range(0, count, BLOCK):
        size, cluster = min(BLOCK, count - start), random.integers(0, CLUSTERS)
        within = random.standard_normal((size, LOCAL_DIM), dtype=np.float32) @ spread[cluster]
        noise = 0.2 * random.standard_normal((size, DIM), dtype=np.float32)
        rows = unit(centres[cluster] + within + noise).astype(np.float16)
        yield np.arange(start, start + size, dtype=np.int64), rows


def queries_of(index: LoadedIndex, count: int) -> Kinds:
    random = np.random.default_rng(1)
    near = index.embeddings(random.choice(len(index.image_ids), count, replace=False))
    noise = random.standard_normal((count, DIM), dtype=np.float32) / DIM**0.5
    gap = random.standard_normal(DIM, dtype=np.float32) / DIM**0.5
    return {"picture": unit(near + 0.3 * noise), "text": unit(0.25 * near + 0.3 * noise + gap)}


def filters(count: int) -> Allowed:
    """Ascending ids by what the filter is called; None for no filter."""
    random = np.random.default_rng(2)
    chosen: Allowed = {"none": None}
    for share in SHARES:
        ids = np.flatnonzero(random.random(count) < share)
        there = -(-count // RUN)
        runs = np.sort(random.choice(there, max(1, round(there * share)), replace=False))
        in_runs = (runs[:, np.newaxis] * RUN + np.arange(RUN)).ravel()
        chosen[f"{share:.1%} at random"] = ids
        chosen[f"{share:.1%} by folder"] = in_runs[in_runs < count]
    return chosen


def brute_force(index: LoadedIndex, queries: np.ndarray, allowed: Allowed) -> Kinds:
    """By filter: (queries, TOP_K) ids."""
    total = len(index.image_ids)
    none = np.full((len(queries), TOP_K), -np.inf, dtype=np.float32), np.zeros(1, dtype=np.int64)
    best = {name: (none[0], np.broadcast_to(none[1], none[0].shape)) for name in allowed}
    for start in range(0, total, BLOCK):
        block = np.arange(start, min(start + BLOCK, total))
        scores = queries @ index.embeddings(block).T
        for name, ids in allowed.items():
            here = block
            if ids is not None:
                here = ids[slice(*np.searchsorted(ids, (start, start + BLOCK)))]
            all_scores = np.hstack([best[name][0], scores[:, here - start]])
            all_ids = np.hstack([best[name][1], np.broadcast_to(here, (len(queries), len(here)))])
            top = np.argpartition(-all_scores, TOP_K - 1, axis=1)[:, :TOP_K]
            best[name] = tuple(np.take_along_axis(each, top, 1) for each in (all_scores, all_ids))
    return {name: ids for name, (_, ids) in best.items()}


def snapshot_of(index: LoadedIndex, ids: np.ndarray | None = None) -> Snapshot:
    nothing = np.empty(0, dtype=np.int64)
    tail = np.empty((0, DIM), dtype=np.float32)
    return Snapshot(DIM, 1, None, index, nothing, tail, nothing if ids is None else ids)


def measure(
    snapshot: Snapshot, queries: np.ndarray, allowed: np.ndarray | None, true: np.ndarray
) -> dict[str, float]:
    agree, took, worked = [], [], []
    for query, wanted in zip(queries, true, strict=False):
        began, before = time.perf_counter(), time.process_time()
        found = snapshot.nearest(query, TOP_K, allowed)
        took.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - before) * 1000)
        agree.append(len(set(found.image_ids.tolist()) & set(wanted.tolist())) / TOP_K)
    return {
        "recall_at_10": float(np.mean(agree)),
        "p50_ms": float(np.median(took)),
        "p99_ms": float(np.percentile(took, 99)),
        "cpu_ms": float(np.median(worked)),
    }


def measure_all(count: int, query_count: int, folder: Path) -> dict[str, object]:
    began = time.perf_counter()
    manifest = build_generation(folder, Space.fingerprint, DIM, blocks(count), last_shard_id=1)
    result: dict[str, object] = {"pictures": count, "built_s": time.perf_counter() - began}
    began = time.perf_counter()
    large = open_index(folder, manifest)
    result["opened_s"] = time.perf_counter() - began
    [codes] = folder.glob("*.codes.faiss")
    result["codes_bytes_a_picture"] = codes.stat().st_size / count
    disk = sum(path.stat().st_size for path in folder.iterdir())
    result["disk_bytes_a_picture"] = disk / count
    print(json.dumps(result), flush=True)
    exact = LoadedIndex(load_index(folder, manifest))
    allowed = filters(count)
    rows = []
    print(
        "queries  index  filter            recall@10     p50 ms     p99 ms     CPU ms"
        "  × unfilt.    10M, ms"
    )
    for kind, queries in queries_of(exact, query_count).items():
        true = brute_force(exact, queries, allowed)
        cases = [("codes", large, name) for name in allowed]
        plain = 0.0
        for way, index, name in [*cases, ("exact", exact, "none")]:
            some = queries[:EXACT_QUERIES] if way == "exact" else queries
            snapshot = snapshot_of(index)
            snapshot.nearest(queries[0], TOP_K, allowed[name])
            row = measure(snapshot, some, allowed[name], true[name])
            plain = plain or row["p50_ms"]
            row |= {"ratio": row["p50_ms"] / plain, "p50_ms_at_10M": row["p50_ms"] * FAR / count}
            figures = "  ".join(
                f"{value:9.4f}" if value < 2 else f"{value:9.1f}" for value in row.values()
            )
            print(f"{kind:7}  {way:5}  {name:16}  {figures}", flush=True)
            rows.append({"queries": kind, "index": way, "filter": name, **row})
    return result | {"rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=300_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where the index is made; 2 KB a picture")
    parser.add_argument("--json", type=Path, default=Path("build/bench/large_index.json"))
    options = parser.parse_args()
    kinds.EXACT_ROWS = kinds.WORTH_CODES = 0  # codes at any size
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = measure_all(options.pictures, options.queries, Path(folder))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
