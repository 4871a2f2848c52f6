import numpy as np
import pytest
from numpy.typing import NDArray

from storage.index.quick_scan import QuickScan, can_scan_quickly, rows_that_may_be_best

pytestmark = pytest.mark.skipif(not can_scan_quickly(), reason="this CPU has no VNNI")


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def alike(count: int, dim: int) -> NDArray[np.float32]:
    """Embeddings as towers give them: much in common, a few directions that matter."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(12, dim)) * 0.3
    return unit(1 + random.normal(size=(count, 12)) @ directions + random.normal(size=(count, dim)))


def scan_of(rows: NDArray[np.float32], block: int = 1000) -> QuickScan:
    counts = [min(block, len(rows) - start) for start in range(0, len(rows), block)]
    return QuickScan.of(counts, lambda first, last: rows[first:last])


@pytest.mark.parametrize("dim", [16, 255, 768])
def test_scores_are_as_near_as_they_say(dim: int) -> None:
    rows, queries = alike(3500, dim), alike(20, dim)
    scan = scan_of(rows)
    for query in queries:
        scores, off = scan.scores(query)
        error = np.abs(scores - rows @ query).max()
        assert 0 < error < off < 0.2


@pytest.mark.parametrize("limit", [1, 10, 400])
def test_the_best_are_among_the_candidates_which_are_few(limit: int) -> None:
    rows = alike(5000, 768)
    random = np.random.default_rng(1)
    scan = scan_of(rows)
    for query in unit(rows[:30] + random.normal(size=(30, 768)) * 0.5):
        scores, off = scan.scores(query)
        candidates = rows_that_may_be_best(scores, off, limit)
        best = np.argsort(-(rows @ query))[:limit]
        assert np.isin(best, candidates).all()
        assert len(candidates) < len(rows) / 2


def test_every_tie_of_the_last_place_is_a_candidate() -> None:
    rows = alike(2000, 64)
    rows[100:140] = rows[7]
    scores, off = scan_of(rows).scores(rows[7])
    candidates = rows_that_may_be_best(scores, off, limit=3)
    assert set(range(100, 140)) <= set(candidates.tolist())


def test_fewer_rows_than_are_asked_for_are_all_candidates() -> None:
    rows = alike(5, 32)
    scores, off = scan_of(rows).scores(rows[0])
    assert rows_that_may_be_best(scores, off, 10).tolist() == [0, 1, 2, 3, 4]


def test_a_query_of_another_length_is_scored_as_near_as_it_says() -> None:
    rows = alike(2500, 64)
    scores, off = scan_of(rows).scores(rows[3] * 5)
    assert np.abs(scores - rows @ (rows[3] * 5)).max() < off
