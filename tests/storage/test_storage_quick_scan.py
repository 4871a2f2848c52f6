from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from storage.index import byte_part, byte_rows, quick_scan
from storage.index.byte_part import ZERO, Part, Query, Rows
from storage.index.byte_rows import open_bytes, write_bytes
from storage.index.chosen_rows import ChosenRows
from storage.index.kinds import make_index
from storage.index.loaded_index import LoadedIndex
from storage.index.quick_scan import QuickScan
from storage.index.shared_scan import scan_together


@pytest.fixture(autouse=True)
def parts_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few thousand rows are many parts, each of which has to be asked for more."""
    monkeypatch.setattr(byte_rows, "PART_ROWS", 1000)
    monkeypatch.setattr(quick_scan, "SPARE", 8)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """As the shards hold it."""
    normal = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normal.astype(np.float16).astype(np.float32)


def alike(count: int, dim: int) -> NDArray[np.float32]:
    """Embeddings as towers give them: much in common, a few directions that matter, and a few
    large numbers."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(12, dim)) * 0.3
    rows = 1 + random.normal(size=(count, 12)) @ directions + random.normal(size=(count, dim))
    rows[:, :3] *= 10
    return unit(rows)


@pytest.fixture
def scan_of(tmp_path: Path):
    def scan_of(rows: NDArray[np.float32]) -> QuickScan:
        index = make_index(rows.shape[1])
        index.add_with_ids(rows, np.arange(len(rows)))
        path = tmp_path / "rows.bytes.faiss"
        write_bytes(path, LoadedIndex(index))
        scan = open_bytes(path, *rows.shape)
        assert scan is not None
        return scan

    return scan_of


@pytest.mark.parametrize("dim", [16, 255, 768])
@pytest.mark.parametrize("length", [1, 5])
def test_scores_are_as_near_as_they_say(scan_of, dim: int, length: float) -> None:
    rows, queries = alike(3500, dim), alike(20, dim) * length
    for part in scan_of(rows).parts:
        for query in queries:
            found = part.search(query, part.count, None)
            assert len(set(found.rows.tolist())) == part.count
            error = np.abs(found.scores - rows[found.rows] @ query).max()
            assert 0 < error < found.off < 0.1 * length


@pytest.mark.parametrize("limit", [1, 10, 400])
def test_the_best_are_among_the_candidates_which_are_few(scan_of, limit: int) -> None:
    rows = alike(5000, 768)
    random = np.random.default_rng(1)
    scan = scan_of(rows)
    for query in unit(rows[:30] + random.normal(size=(30, 768)) * 0.05):
        candidates = scan.candidates(query, limit, None)
        best = np.argsort(-(rows @ query))[:limit]
        assert np.isin(best, candidates).all()
        assert len(candidates) == len(set(candidates.tolist())) < len(rows) / 2


def test_the_best_of_rows_that_differ_less_than_rounding_does_are_found(
    scan_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(3)
    middle = random.normal(size=(1, 64))
    rows = unit(middle + random.normal(size=(4000, 64)) * 0.003)
    rows[::1000] = alike(4, 64)  # which make the steps coarse
    scan, query = scan_of(rows), unit(middle)[0]
    found = [part.search(query, part.count, None) for part in scan.parts]
    worst = max(np.abs(each.scores - rows[each.rows] @ query).max() / each.off for each in found)
    # So that scores are off by all that they are allowed to be.
    monkeypatch.setattr(byte_part, "STEPS_OFF", byte_part.STEPS_OFF * worst * 1.01)
    best = np.argsort(-(rows @ query))[:20]
    assert np.isin(best, scan.candidates(query, 20, None)).all()


@pytest.mark.parametrize("dim", [16, 255, 768])
def test_queries_that_share_a_reading_each_find_their_best(scan_of, dim: int) -> None:
    rows = alike(5300, dim)
    random = np.random.default_rng(4)
    vectors = unit(rows[:12] + random.normal(size=(12, dim)) * 0.05)
    vectors[3] *= 7
    vectors[4] = 0
    far = np.argsort(rows @ vectors[5])[:2000]
    chosen = [None, np.arange(0, 5300, 2), far, np.array([7, 4000]), np.arange(3000, 5300)]
    asked = [
        Query(vector, (1, 10, 400)[at % 3], _chosen(chosen[at % 5], 5300))
        for at, vector in enumerate(vectors)
    ]
    found = scan_together(scan_of(rows).parts, asked)
    for query, candidates in zip(asked, found, strict=True):
        own = np.arange(5300) if query.chosen is None else query.chosen.rows
        best = own[np.argsort(-(rows[own] @ query.vector), kind="stable")[: query.limit]]
        assert np.isin(best, candidates).all()
        assert np.isin(candidates, own).all()
        assert len(candidates) == len(set(candidates.tolist()))
    assert len(found[0]) < 2000


def _chosen(rows: NDArray[np.int64] | None, total: int) -> ChosenRows | None:
    return None if rows is None else ChosenRows(rows, total)


def test_a_shared_reading_and_one_alone_score_alike(scan_of) -> None:
    rows = alike(2100, 96)
    queries = [Query(row, 2100) for row in rows[:9]]
    scan = scan_of(rows)
    together = scan_together(scan.parts, queries)
    assert all(sorted(found) == list(range(2100)) for found in together)
    for part in scan.parts:
        for query in queries:
            alone = part.search(query.vector, part.count)
            reading = part.reading(query.vector)
            whole = part.codes[alone.rows - part.start].astype(np.int64) - ZERO
            assert np.array_equal(
                reading.scores(whole @ reading.query.astype(np.int64)).astype(np.float32),
                alone.scores,
            )


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.98])
@pytest.mark.parametrize(
    "which", ["at random", "the farthest", "far and at random", "the first", "none of some parts"]
)
def test_the_best_of_chosen_rows_are_found_wherever_they_are(
    scan_of, share: float, which: str
) -> None:
    rows = alike(6000, 64)
    random = np.random.default_rng(2)
    query = unit(rows[:1] + random.normal(size=(1, 64)) * 0.05)[0]
    order = {
        "at random": random.permutation(6000),
        "the farthest": np.argsort(rows @ query),
        "far and at random": np.r_[random.permutation(5880), 5880:6000],
        "the first": np.arange(6000),
        "none of some parts": np.argsort(np.arange(6000) // 1000 % 2, kind="stable"),
    }[which]
    if which == "far and at random":
        order = np.argsort(rows @ query)[order]
    chosen = order[: int(share * 6000)]
    candidates = scan_of(rows).candidates(query, 10, ChosenRows(chosen, 6000))
    best = chosen[np.argsort(-(rows[chosen] @ query))[:10]]
    assert np.isin(best, candidates).all()
    assert np.isin(candidates, chosen).all()


def test_every_tie_of_the_last_place_is_a_candidate(scan_of) -> None:
    rows = alike(4000, 64)
    copies = np.r_[100:140, 990:1010, 3000:3900]
    rows[copies] = rows[7]
    scan = scan_of(rows)
    for chosen in (None, ChosenRows(np.arange(0, 4000, 2), 4000)):
        there = set(copies.tolist()) & set(range(0, 4000, 1 if chosen is None else 2))
        assert there <= set(scan.candidates(rows[7], 3, chosen).tolist())
        shared = scan_together(scan.parts, [Query(rows[at], 3, chosen) for at in (5, 7, 9)])
        assert there <= set(shared[1].tolist())


def test_fewer_rows_than_are_asked_for_are_all_candidates(scan_of) -> None:
    rows = alike(5, 32)
    assert sorted(scan_of(rows).candidates(rows[0], 10, None)) == [0, 1, 2, 3, 4]
    assert scan_of(rows).candidates(rows[0], 10, ChosenRows(np.array([3]), 5)).tolist() == [3]


def test_rows_that_are_all_alike_and_a_query_of_nothing_are_scored(scan_of) -> None:
    rows = np.repeat(alike(1, 32), 2500, axis=0)
    scan = scan_of(rows)
    for query in (rows[0], np.zeros(32, dtype=np.float32)):
        assert len(scan.candidates(query, 2, None)) == 2500


def test_many_threads_find_the_best_by_sharing_readings(
    scan_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = alike(5000, 64)
    scan, half = scan_of(rows), ChosenRows(np.arange(0, 5000, 2), 5000)
    queries = rows[:60]
    shared: list[int] = []

    def counted(parts: Sequence[Part], asked: Sequence[Query]) -> list[Rows]:
        shared.append(len(asked))
        return scan_together(parts, asked)

    monkeypatch.setattr(quick_scan, "scan_together", counted)

    def is_right(number: int) -> bool:
        query = queries[number % 60]
        chosen, own = (half, half.rows) if number % 3 else (None, np.arange(5000))
        candidates = scan.candidates(query, 5, chosen)
        best = own[np.argsort(-(rows[own] @ query))[:5]]
        return bool(np.isin(best, candidates).all() and np.isin(candidates, own).all())

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(is_right, range(600)))
    assert max(shared) > 5 <= min(shared)


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "of other rows"])
def test_a_damaged_file_is_not_opened(scan_of, tmp_path: Path, damage: str) -> None:
    rows = alike(2500, 32)
    scan_of(rows)
    path = tmp_path / "rows.bytes.faiss"
    content = path.read_bytes()
    count = len(rows)
    if damage == "missing":
        path.unlink()
    elif damage == "of other rows":
        count = 2499
    else:
        path.write_bytes(content[:50_000] if damage == "cut" else b"")
    assert open_bytes(path, count, 32) is None


def test_faiss_itself_reads_the_file(scan_of, tmp_path: Path) -> None:
    """It is nothing of our own: indexes of 8 bits, whose rows FAISS gives back."""
    rows = alike(900, 32)
    scan_of(rows)
    index = faiss.read_index(str(tmp_path / "rows.bytes.faiss"))
    step = (rows.max(axis=0) - rows.min(axis=0)).max() / 255
    assert np.abs(index.reconstruct_n(0, 900) - rows).max() <= 0.501 * step
