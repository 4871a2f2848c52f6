"""What a filter costs and whether it loses hits: python -m bench.filters

Clustered synthetic embeddings in a real library; a filter lets through a random share of the
pictures, or whole clusters of them far from the query, which is what an approximate index loses.
Recall is against brute force over the same pictures in float64.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.search_speed import Space, fill, unit
from storage.index.snapshot import Snapshot
from storage.library import Library

TOP_K = 10
SHARES = (1.0, 0.5, 0.05, 0.005, 0.0005)
CLUSTER_ROWS = 50


def clustered(count: int, dim: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """→ (count, dim) embeddings as they are stored, and the cluster of each."""
    clusters = max(count // CLUSTER_ROWS, 1)
    centers = unit(random.normal(size=(clusters, dim)))
    belongs = random.integers(0, clusters, count)
    spread = random.normal(size=(count, dim)).astype(np.float32) * (0.6 / np.sqrt(dim))
    return unit(centers[belongs] + spread).astype(np.float16), belongs


def chosen_ids(share: float, how: str, belongs: np.ndarray, random: np.random.Generator):
    """Image ids that the filter lets through, ascending; the first picture has the id 1."""
    count = len(belongs)
    if how == "at random":
        return np.sort(random.choice(count, round(count * share), replace=False)) + 1
    clusters = random.permutation(belongs.max() + 1)
    order = np.argsort(np.argsort(clusters)[belongs], kind="stable")
    return np.sort(order[: round(count * share)]) + 1


def brute_force(rows: np.ndarray, query: np.ndarray, allowed: np.ndarray) -> set[int]:
    scores = rows[allowed - 1].astype(np.float64) @ query.astype(np.float64)
    best = np.lexsort((allowed, -scores.round(6)))[:TOP_K]
    return set(allowed[best].tolist())


def measure(
    snapshot: Snapshot, rows: np.ndarray, queries: np.ndarray, allowed: np.ndarray | None
) -> tuple[float, float]:
    """→ (recall at 10, median milliseconds)"""
    everything = np.arange(1, len(rows) + 1)
    agree, took = [], []
    for query in queries:
        began = time.perf_counter()
        found = snapshot.nearest(query, TOP_K, allowed)
        took.append(time.perf_counter() - began)
        wanted = brute_force(rows, query, everything if allowed is None else allowed)
        agree.append(len(wanted & set(found.image_ids.tolist())) / max(len(wanted), 1))
    return float(np.mean(agree)), float(np.median(took)) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    rows, belongs = clustered(options.pictures, options.dim, random)
    queries = unit(
        rows[random.choice(len(rows), options.queries)]
        + random.normal(size=(options.queries, options.dim)) * (0.3 / np.sqrt(options.dim))
    )
    results = []
    with tempfile.TemporaryDirectory() as folder:
        library = Library.open(Path(folder), create=True)
        fill(library, rows, tail=options.pictures // 100, space=Space(dim=options.dim))
        snapshot = library.reader(library.active_space()).current()
        measure(snapshot, rows, queries[:3], np.arange(1, 3))  # maps the index into memory
        _, plain = measure(snapshot, rows, queries, None)
        print(f"{options.pictures:,} × {options.dim}; without a filter {plain:.2f} ms")
        print("share %   chosen      recall@10  query ms  × unfiltered")
        for share in SHARES:
            for how in ("at random", "by cluster"):
                allowed = chosen_ids(share, how, belongs, random)
                recall, took = measure(snapshot, rows, queries, allowed)
                ratio = took / plain
                print(f"{share:7.2%}  {how:10}  {recall:9.3f}  {took:8.2f}  {ratio:12.2f}")
                results.append(
                    {
                        "share": share,
                        "chosen": how,
                        "recall_at_10": recall,
                        "query_ms": took,
                        "ratio": ratio,
                    }
                )
        library.close()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
