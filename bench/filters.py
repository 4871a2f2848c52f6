"""What a filter costs and whether it loses hits: python -m bench.filters

Clustered synthetic embeddings, all but a hundredth of them indexed; a filter lets through a random
share of the pictures; or whole clusters of them far from the query, which is what an approximate
index loses, and what an exhaustive one has to pass over; or a random share without the pictures
that are nearest to the query, the worst that a filter can do: what is found first is of no use.
Recall is against brute force over the same pictures in float64. The limit is the query without a
filter, in turn with the filtered one.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.search_speed import BLOCK, in_turn, opened, unit
from storage.index.snapshot import Snapshot

TOP_K = 10
SURE = 100
"""Of so many the best are scored in float64."""
SHARES = (1.0, 0.9, 0.5, 0.25, 0.05, 0.005, 0.0005)
NEAREST = (0.001, 0.01, 0.1)
"""The share of the pictures that is left out first, being nearest to the query."""
CLUSTER_ROWS = 50
COLUMNS = ("recall_at_10", "query_ms", "p99_ms", "unfiltered_ms", "ratio")


def clustered(count: int, dim: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """→ (count, dim) float32 embeddings as they are stored, and the cluster of each."""
    clusters = max(count // CLUSTER_ROWS, 1)
    centers = unit(random.standard_normal((clusters, dim), dtype=np.float32))
    belongs = random.integers(0, clusters, count)
    rows = random.standard_normal((count, dim), dtype=np.float32)
    rows *= np.float32(0.6 / np.sqrt(dim))
    for start in range(0, count, BLOCK):
        part = unit(rows[start : start + BLOCK] + centers[belongs[start : start + BLOCK]])
        rows[start : start + BLOCK] = part.astype(np.float16)
    return rows, belongs


def chosen_ids(share: float, how: str, belongs: np.ndarray, random: np.random.Generator):
    """Image ids that the filter lets through, ascending; the first picture has the id 1."""
    count = len(belongs)
    if how == "at random":
        return np.sort(random.choice(count, round(count * share), replace=False)) + 1
    clusters = random.permutation(belongs.max() + 1)
    order = np.argsort(np.argsort(clusters)[belongs], kind="stable")
    return np.sort(order[: round(count * share)]) + 1


def brute_force(rows: np.ndarray, query: np.ndarray, allowed: np.ndarray) -> set[int]:
    rough = (rows @ query)[allowed - 1]
    if len(allowed) > SURE:
        allowed = allowed[np.sort(np.argpartition(-rough, SURE)[:SURE])]
    scores = rows[allowed - 1].astype(np.float64) @ query.astype(np.float64)
    best = np.lexsort((allowed, -scores.round(6)))[:TOP_K]
    return set(allowed[best].tolist())


def measure(
    snapshot: Snapshot, rows: np.ndarray, queries: np.ndarray, allowed: Sequence[np.ndarray]
) -> dict[str, float]:
    """allowed: of each query."""
    filters = itertools.cycle(allowed)
    ways: dict[str, Callable[[np.ndarray], object]] = {
        "filtered": lambda query: snapshot.nearest(query, TOP_K, next(filters)),
        "plain": lambda query: snapshot.nearest(query, TOP_K),
    }
    times = in_turn(ways, queries)
    agree = []
    for query, ids in zip(queries, allowed, strict=True):
        wanted = brute_force(rows, query, ids)
        found = snapshot.nearest(query, TOP_K, ids).image_ids
        agree.append(len(wanted & set(found.tolist())) / max(len(wanted), 1))
    filtered, plain = times["filtered"], times["plain"]
    return {
        "recall_at_10": float(np.mean(agree)),
        "query_ms": filtered[0],
        "p99_ms": filtered[1],
        "unfiltered_ms": plain[0],
        "ratio": filtered[0] / plain[0],
    }


def but_nearest(
    query: np.ndarray, rows: np.ndarray, share: float, nearest: float, random: np.random.Generator
) -> np.ndarray:
    """Image ids of a random share of all pictures, ascending, none of them among the nearest."""
    far = len(rows) - round(len(rows) * nearest)
    order = random.permutation(np.argpartition(rows @ query, far - 1)[:far])
    return np.sort(order[: round(len(rows) * share)]) + 1


class Table:
    def __init__(self, pictures: int, dim: int) -> None:
        self.results: list[dict[str, object]] = []
        print(f"{pictures:,} × {dim}")
        print("| share | chosen | " + " | ".join(COLUMNS) + " |")
        print("|-" * (len(COLUMNS) + 2) + "|")

    def add(self, share: float, how: str, found: dict[str, float]) -> None:
        figures = " | ".join(f"{found[name]:.4g}" for name in COLUMNS)
        print(f"| {share:.2%} | {how} | {figures} |", flush=True)
        self.results.append({"share": share, "chosen": how, **found})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    rows, belongs = clustered(options.pictures, options.dim, random)
    noise = random.standard_normal((options.queries, options.dim), dtype=np.float32)
    near = rows[random.choice(len(rows), options.queries)]
    queries = unit(near + noise * np.float32(0.3 / np.sqrt(options.dim)))
    table = Table(options.pictures, options.dim)
    tail = options.pictures // 100
    with opened(rows, tail=tail) as (snapshot, _):
        for share in SHARES:
            for how in ("at random", "by cluster"):
                allowed = chosen_ids(share, how, belongs, random)
                found = measure(snapshot, rows, queries, [allowed] * len(queries))
                table.add(share, how, found)
        but = ((share, nearest) for nearest in NEAREST for share in (1 - nearest, 0.5, 0.35))
        for share, nearest in but:
            chosen = [but_nearest(query, rows, share, nearest, random) for query in queries]
            found = measure(snapshot, rows, queries, chosen)
            table.add(share, f"but the nearest {nearest:.1%}", found)
    if options.json:
        options.json.write_text(json.dumps(table.results, indent=1))


if __name__ == "__main__":
    main()
