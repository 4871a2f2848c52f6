from pathlib import Path

import numpy as np
import pytest

from storage.index import byte_rows, kinds, loaded_index, quick_scan, snapshot
from storage.index.loaded_index import LoadedIndex
from storage.index.snapshot import Snapshot
from storage.index.vector_index import build_generation, load_index, open_index

DIM = 24
COUNT = 3000


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Every fifth is a copy of one and the same, so that ties are everywhere."""
    random = np.random.default_rng(5)
    made = random.normal(size=(COUNT, DIM))
    made[::5] = made[0]
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made.astype(np.float16)


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    """With gaps, and in no order."""
    return np.random.default_rng(6).permutation(np.arange(1, COUNT * 2, 2))


@pytest.fixture(scope="module", params=["by FAISS", "by a quick scan"])
def index(request, tmp_path_factory: pytest.TempPathFactory, rows, ids) -> LoadedIndex:
    folder: Path = tmp_path_factory.mktemp("index")
    scans = request.param == "by a quick scan"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_rows, "PART_ROWS", 400)
        patch.setattr(quick_scan, "SPARE", 8)
        patch.setattr(loaded_index, "MOST_FEW_OF_A_SCAN", 20)
        patch.setattr(loaded_index, "MANY_CANDIDATES", 50)
        patch.setattr(loaded_index, "SCORED_ROWS", 64)
        patch.setattr(snapshot, "EXACT_ROWS", 700)
        if scans:
            patch.setattr(kinds, "FEW_ROWS", 1)
        manifest = build_generation(folder, "f" * 64, DIM, [(ids, rows)], 1)
        index = open_index(folder, manifest)
        assert index is not None
        assert (index.scan is not None) == scans
        yield index


def snapshot_of(index: LoadedIndex | None, tail_ids=(), tail=None, masked=()) -> Snapshot:
    tail = np.empty((0, DIM), dtype=np.float16) if tail is None else tail
    as_ids = [np.array(each, dtype=np.int64) for each in (tail_ids, masked)]
    return Snapshot(DIM, 1, None, index, as_ids[0], tail, as_ids[1])


def brute_force(ids, rows, query, limit, allowed):
    keep = np.isin(ids, allowed)
    scores = (rows[keep].astype(np.float64) @ query.astype(np.float64)).round(6)
    best = np.lexsort((ids[keep], -scores))[:limit]
    return ids[keep][best].tolist(), scores[best].astype(np.float32).tolist()


@pytest.mark.parametrize("share", [0, 0.001, 0.015, 0.025, 0.5, 1])
@pytest.mark.parametrize("of", ["a copied row", "a row of its own"])
def test_a_filter_of_any_size_leaves_what_brute_force_finds(index, rows, ids, share, of) -> None:
    query = rows[0 if of == "a copied row" else 7].astype(np.float32)
    allowed = np.sort(np.random.default_rng(1).choice(ids, int(share * COUNT), replace=False))
    found = snapshot_of(index).nearest(query, 10, allowed)
    expected = brute_force(ids, rows, query, 10, allowed)
    assert (found.image_ids.tolist(), found.scores.tolist()) == expected


def test_a_filter_is_asked_again_as_it_was_asked_first(index, rows, ids, monkeypatch) -> None:
    """What was made of its ids is kept; others of the same number must not be taken for them."""
    monkeypatch.setattr(snapshot, "WORTH_KEEPING", 100)
    query, made = rows[7].astype(np.float32), snapshot_of(index)
    filters = [np.sort(ids[start : start + 1000]) for start in range(0, 3000, 500)]
    for allowed in [*filters, *filters[::-1], *filters]:
        found = made.nearest(query, 10, allowed).image_ids.tolist()
        assert found == brute_force(ids, rows, query, 10, allowed)[0]


def test_masked_pictures_are_passed_over_with_and_without_a_filter(index, rows, ids) -> None:
    query = rows[0].astype(np.float32)
    masked = np.sort(ids[:2500])
    left = np.sort(ids[2500:])
    for allowed, those in ((None, left), (np.sort(ids), left), (left[::2], left[::2])):
        found = snapshot_of(index, masked=masked).nearest(query, 30, allowed)
        assert found.image_ids.tolist() == brute_force(ids, rows, query, 30, those)[0]


def test_a_picture_has_the_same_score_in_the_tail_and_in_the_index(index, rows, ids) -> None:
    query = np.random.default_rng(2).normal(size=DIM).astype(np.float32)
    order = np.argsort(ids)
    in_index = snapshot_of(index).nearest(query, COUNT)
    in_tail = snapshot_of(None, ids[order], rows[order]).nearest(query, COUNT)
    assert in_index.image_ids.tolist() == in_tail.image_ids.tolist()
    assert in_index.scores.tolist() == in_tail.scores.tolist()


def test_ids_that_are_not_in_the_index_have_no_rows(index, ids) -> None:
    assert index.rows_of(np.array([-1, 0, 2, COUNT * 2, 2**60])).tolist() == []
    assert index.image_ids[index.rows_of(np.sort(ids))].tolist() == sorted(ids)


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    manifest = build_generation(tmp_path, "f" * 64, DIM, [], 0)
    snapshot = snapshot_of(LoadedIndex(load_index(tmp_path, manifest)))
    assert snapshot.nearest(np.ones(DIM, dtype=np.float32), 5).image_ids.tolist() == []
    assert snapshot.embedding(1) is None
