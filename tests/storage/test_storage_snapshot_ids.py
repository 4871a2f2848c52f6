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
