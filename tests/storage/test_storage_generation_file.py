"""Index files that are written block by block, against those that FAISS writes from memory."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest

from storage.index.generation_file import write_index_file
from storage.index.kinds import make_index
from storage.index.vector_index import build_generation, load_index, read_manifest

DIM = 40
Block = tuple[np.ndarray, np.ndarray]


def blocks_of(*counts: int, seed: int = 1) -> list[Block]:
    """Of rows of norm 1, under ids in no order and with gaps; with the smallest numbers too."""
    random = np.random.default_rng(seed)
    ids = random.permutation(np.arange(1, 3 * sum(counts) + 1, 3)) + 2**33
    rows = random.normal(size=(sum(counts), DIM))
    rows[::7, ::3] *= 1e-7
    rows[::5, ::4] = -0.0
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    ends = np.cumsum(counts)[:-1]
    return list(zip(np.split(ids, ends), np.split(rows, ends), strict=True))


def written_by_faiss(path: Path, blocks: list[Block]) -> bytes:
    index = make_index(DIM)
    for ids, rows in blocks:
        index.add_with_ids(rows.astype(np.float32), ids)
    faiss.write_index(index, str(path))
    return path.read_bytes()


@pytest.mark.parametrize("counts", [(), (0,), (1,), (63, 1), (200, 0, 1, 500), (0, 3)])
def test_the_file_is_byte_for_byte_what_faiss_writes(tmp_path: Path, counts) -> None:
    blocks = blocks_of(*counts) if counts else []
    empty = make_index(DIM)
    assert write_index_file(tmp_path / "ours", empty, iter(blocks)) == sum(counts)
    assert (tmp_path / "ours").read_bytes() == written_by_faiss(tmp_path / "theirs", blocks)
    assert {path.name for path in tmp_path.iterdir()} == {"ours", "theirs"}


def test_a_generation_gives_the_same_rows_and_hits_as_an_index_in_memory(tmp_path: Path) -> None:
    blocks = blocks_of(500, 700, 300)
    manifest = build_generation(tmp_path, "f" * 64, DIM, iter(blocks), 3)
    loaded = load_index(tmp_path, manifest)
    in_memory = make_index(DIM)
    for ids, rows in blocks:
        in_memory.add_with_ids(rows.astype(np.float32), ids)
    assert (manifest.count, manifest.kind) == (1500, "exact-float16")
    all_ids, all_rows = (np.concatenate(part) for part in zip(*blocks, strict=True))
    assert np.array_equal(faiss.vector_to_array(loaded.id_map), all_ids)
    rows = faiss.downcast_index(loaded.index).reconstruct_n(0, 1500).astype(np.float16)
    assert np.array_equal(rows.view(np.uint16), all_rows.view(np.uint16))
    queries = np.random.default_rng(2).normal(size=(20, DIM)).astype(np.float32)
    for ours, theirs in zip(loaded.search(queries, 30), in_memory.search(queries, 30), strict=True):
        assert np.array_equal(ours, theirs)


def test_an_index_of_another_layout_is_written_by_faiss(tmp_path: Path) -> None:
    blocks = blocks_of(300, 200)
    empty = faiss.IndexIDMap(faiss.IndexFlatIP(DIM))  # float32 rows
    assert write_index_file(tmp_path / "index", empty, iter(blocks)) == 500
    index = faiss.read_index(str(tmp_path / "index"))
    assert np.array_equal(faiss.vector_to_array(index.id_map)[300:], blocks[1][0])
    there = faiss.downcast_index(index.index).reconstruct_n(0, 300)
    assert np.array_equal(there, blocks[0][1])


def test_a_generation_that_can_not_be_finished_leaves_the_one_before(tmp_path: Path) -> None:
    def failing() -> Iterator[Block]:
        yield from blocks_of(2000)
        raise OSError(28, "No space left on device")

    before = build_generation(tmp_path, "f" * 64, DIM, blocks_of(100), 1)
    there = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(OSError, match="No space"):
        build_generation(tmp_path, "f" * 64, DIM, failing(), 2)
    assert read_manifest(tmp_path) == before
    assert load_index(tmp_path, before).ntotal == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == there


def test_a_file_that_reads_otherwise_than_what_was_given_names_no_generation(
    tmp_path: Path,
) -> None:
    def changing() -> Iterator[Block]:
        for ids, rows in blocks_of(200, 300):
            yield ids, rows
            rows[-1, 0] += 0.25  # as memory or a disk might that is failing

    before = build_generation(tmp_path, "f" * 64, DIM, blocks_of(100), 1)
    with pytest.raises(OSError, match="reads otherwise"):
        build_generation(tmp_path, "f" * 64, DIM, changing(), 2)
    assert read_manifest(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 2


UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
import numpy as np
from storage.index.vector_index import build_generation

def blocks(count):
    rows = np.full((1000, 256), 2.0 ** -5, dtype=np.float16)
    for start in range(0, count, 1000):
        yield np.arange(start, start + 1000), rows

folder = Path(sys.argv[1])
build_generation(folder / "few", "f" * 64, 256, blocks(2000), 1)
status = Path("/proc/self/status").read_text().splitlines()
used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + 24 * 2**20, resource.RLIM_INFINITY))
print(build_generation(folder / "many", "f" * 64, 256, blocks(100_000), 1).count)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limit of private memory")
def test_building_takes_no_memory_for_each_row_and_its_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", UNDER_A_LIMIT, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("100000\n", 0), done.stderr
