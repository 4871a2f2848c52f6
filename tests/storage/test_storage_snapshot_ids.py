"""Which pictures a snapshot holds, whatever order they stand in."""

from pathlib import Path

import numpy as np
import pytest

from storage.index.loaded_index import LoadedIndex
from storage.index.snapshot import Snapshot
from storage.index.vector_index import build_generation, load_index

DIM = 8


def _snapshot(folder: Path, indexed: list[int], tail: list[int], masked: list[int]) -> Snapshot:
    rows = np.eye(DIM, dtype=np.float16)
    manifest, index = None, None
    if indexed:
        block = (np.array(indexed, dtype=np.int64), rows[np.array(indexed) % DIM])
        manifest = build_generation(folder, "f" * 64, DIM, [block], last_shard_id=1)
        loaded = load_index(folder, manifest)
        assert loaded is not None
        index = LoadedIndex(loaded)
    tail_ids, masked_ids = (np.array(ids, dtype=np.int64) for ids in (tail, masked))
    return Snapshot(DIM, 1, manifest, index, tail_ids, rows[tail_ids % DIM], masked_ids)


@pytest.mark.parametrize(
    ("indexed", "tail", "masked"),
    [
        ([1, 2, 3], [], []),
        ([], [4, 7], [7]),
        ([], [], []),
        ([5, 1, 9, 3], [2, 10], []),
        ([5, 1, 9, 3], [3, 4, 9, 12], [1, 4, 12, 40]),
        ([2, 3], [1], [1, 2, 3]),
    ],
)
def test_the_pictures_are_those_of_index_and_tail_that_are_not_masked_ascending(
    tmp_path: Path, indexed: list[int], tail: list[int], masked: list[int]
) -> None:
    found = _snapshot(tmp_path, indexed, tail, masked).image_ids
    assert found.tolist() == sorted(({*indexed} | {*tail}) - {*masked})


def test_a_sample_is_of_pictures_that_can_be_found_whether_indexed_or_newer(tmp_path: Path) -> None:
    snapshot = _snapshot(tmp_path, [5, 1, 9, 3], [3, 4, 12], [1, 12])
    assert snapshot.image_ids.tolist() == [3, 4, 5, 9]
    shown = snapshot.sample(10).argmax(axis=1)
    assert sorted(shown.tolist()) == sorted(image_id % DIM for image_id in (3, 4, 5, 9))
    assert np.linalg.norm(snapshot.sample(10), axis=1).tolist() == [1] * 4
    few = snapshot.sample(2)
    assert len(few) == 2
    assert few.tolist() == snapshot.sample(2).tolist()


@pytest.mark.parametrize(("indexed", "tail"), [([], [4, 7]), ([4, 7], []), ([], [])])
def test_a_sample_can_be_of_an_index_or_a_tail_alone_or_of_nothing(
    tmp_path: Path, indexed: list[int], tail: list[int]
) -> None:
    assert _snapshot(tmp_path, indexed, tail, []).sample(9).shape == (len(indexed + tail), DIM)
