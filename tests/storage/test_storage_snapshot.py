import itertools
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder

import storage.library as library_module
from storage.errors import LibraryDamaged
from storage.files import register_root
from storage.index import byte_rows, kinds, loaded_index, quick_scan
from storage.index.snapshot_reader import SnapshotReader
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FileStat, IndexedFile, NewImage
from storage.upkeep.doctor import examine

DIM = ColorEncoder().space.dim


class Filler:
    """Commits random embeddings, and remembers them for a brute-force search."""

    def __init__(self, library: Library, seed: int = 0) -> None:
        self.library = library
        self.random = np.random.default_rng(seed)
        self.embeddings: dict[int, np.ndarray] = {}
        self.numbers = itertools.count(1)
        with self.writer() as writer:
            self.space = writer.space
        self.job = start_job(library.engine, "index", "colors", [])
        self.root = register_root(library.engine, Path("/pictures"), None)

    def writer(self):
        return self.library.writer("test", ColorEncoder().space)

    def unit(self) -> np.ndarray:
        row = self.random.normal(size=DIM).astype(np.float32)
        return row / np.linalg.norm(row)

    def add(self, count: int) -> list[int]:
        batch, ids = Batch(), []
        for number in itertools.islice(self.numbers, count):
            row = self.unit()
            self.put(batch, number, row)
            self.embeddings[number] = row.astype(np.float16).astype(np.float32)
            ids.append(number)
        with self.writer() as writer:
            writer.commit(batch, self.job, {})
        return ids

    def put(self, batch: Batch, number: int, row: np.ndarray) -> None:
        sha256 = number.to_bytes(32, "big")
        batch.images[sha256] = NewImage(sha256, 4, 3, "png", 9, "#000000")
        batch.embeddings[sha256] = row
        stat = FileStat(self.root.id, f"{number:06d}.png", 9, number)
        batch.files.append(IndexedFile(stat, self.root.collection_id, sha256))

    def delete(self, image_id: int) -> None:
        from storage.files import locations_of

        located = [location for location, _ in locations_of(self.library.engine, image_id)]
        with self.writer() as writer:
            writer.forget(located)
        del self.embeddings[image_id]

    def fold(self) -> None:
        with self.writer() as writer:
            self.library.fold(writer, force=True)

    def brute_force(self, query: np.ndarray, limit: int, allowed: set[int] | None = None):
        ids = [each for each in sorted(self.embeddings) if allowed is None or each in allowed]
        scores = np.array([self.embeddings[each] @ query for each in ids])
        order = np.lexsort((ids, -scores))[:limit]
        return [ids[place] for place in order], scores[order]


@pytest.fixture
def filler(library: Library) -> Filler:
    return Filler(library)


def check(filler: Filler, reader) -> None:
    snapshot = reader.current()
    assert snapshot.image_ids.tolist() == sorted(filler.embeddings)
    everything = sorted(filler.embeddings)
    for limit in (1, 5, len(everything) + 3):
        query = filler.unit()
        found = snapshot.nearest(query, limit)
        ids, scores = filler.brute_force(query, limit)
        assert found.image_ids.tolist() == ids
        np.testing.assert_allclose(found.scores, scores, atol=2e-6)
        some = set(filler.random.permutation(everything)[: len(everything) // 2].tolist())
        found = snapshot.nearest(query, limit, np.array(sorted(some), dtype=np.int64))
        assert found.image_ids.tolist() == filler.brute_force(query, limit, some)[0]


def test_search_equals_brute_force_through_commits_deletions_and_generations(
    filler: Filler,
) -> None:
    reader = filler.library.reader(filler.space)
    ids = filler.add(40)
    check(filler, reader)  # all of it a tail
    filler.fold()
    check(filler, reader)  # all of it indexed
    ids += filler.add(15)
    check(filler, reader)  # both
    for image_id in (ids[3], ids[44], ids[10]):
        filler.delete(image_id)
        check(filler, reader)  # masked in the index and in the tail
    filler.fold()
    check(filler, reader)  # gone from the new generation
    filler.add(5)
    check(filler, reader)


def test_a_picture_is_found_the_moment_it_is_committed(filler: Filler) -> None:
    reader = filler.library.reader(filler.space)
    assert reader.current().image_ids.tolist() == []
    [image_id] = filler.add(1)
    assert reader.current().nearest(filler.embeddings[image_id], 1).image_ids.tolist() == [image_id]


@pytest.mark.parametrize("folded_between", [False, True])
def test_a_deleted_picture_that_comes_back_is_found_again_once(
    filler: Filler, folded_between: bool
) -> None:
    filler.add(10)
    filler.fold()
    row = filler.embeddings[4]
    filler.delete(4)
    if folded_between:
        filler.fold()
    batch = Batch()
    filler.put(batch, 4, row)
    with filler.writer() as writer:
        writer.commit(batch, filler.job, {})
    filler.embeddings[4] = row
    check(filler, filler.library.reader(filler.space))
    filler.fold()
    check(filler, filler.library.reader(filler.space))


def test_a_request_finishes_on_the_snapshot_it_began_with(filler: Filler) -> None:
    filler.add(20)
    filler.fold()
    reader = filler.library.reader(filler.space)
    before = reader.current()
    query = filler.unit()
    expected = before.nearest(query, 5).image_ids.tolist()
    filler.delete(expected[0])
    filler.add(20)
    filler.fold()  # removes the file of the generation that `before` has mapped
    assert before.nearest(query, 5).image_ids.tolist() == expected
    assert reader.current().nearest(query, 40).image_ids[0] != expected[0]


def test_an_unchanged_library_gives_the_same_snapshot(filler: Filler) -> None:
    filler.add(3)
    reader = filler.library.reader(filler.space)
    assert reader.current() is reader.current()


@pytest.mark.parametrize("damage", ["manifest", "index", "both gone"])
def test_a_damaged_index_costs_speed_and_no_hits(filler: Filler, damage: str) -> None:
    filler.add(12)
    filler.fold()
    [manifest] = filler.library.data_dir.glob("index/*/manifest.json")
    [index] = manifest.parent.glob("*.faiss")
    if damage == "manifest":
        manifest.write_text("{")
    elif damage == "index":
        index.write_bytes(index.read_bytes()[:100])
    else:
        manifest.unlink()
        index.unlink()
    check(filler, filler.library.reader(filler.space))
    filler.fold()
    check(filler, filler.library.reader(filler.space))


def test_a_missing_shard_is_named(filler: Filler) -> None:
    filler.add(3)
    [shard] = filler.library.data_dir.glob("embeddings/*/part-*.parquet")
    shard.unlink()
    with pytest.raises(LibraryDamaged, match=shard.name):
        filler.library.reader(filler.space).current()


def test_the_tail_is_folded_when_it_has_grown_long(filler: Filler) -> None:
    filler.add(1000)
    with filler.writer() as writer:
        assert filler.library.fold(writer) is None
    filler.add(1)
    with filler.writer() as writer:
        assert filler.library.fold(writer).count == 1001
        assert filler.library.fold(writer) is None
    assert len(filler.library.reader(filler.space).current().tail_ids) == 0


def test_an_embedding_can_be_read_back(filler: Filler) -> None:
    filler.add(5)
    filler.fold()
    filler.add(5)
    filler.delete(2)
    snapshot = filler.library.reader(filler.space).current()
    for image_id in (1, 9):
        expected = filler.embeddings[image_id] / np.linalg.norm(filler.embeddings[image_id])
        np.testing.assert_allclose(snapshot.embedding(image_id), expected, atol=1e-6)
    assert snapshot.embedding(2) is None
    assert snapshot.embedding(99) is None


@pytest.fixture
def every_index_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "FEW_ROWS", 1)
    monkeypatch.setattr(library_module, "FOLD_ROWS", 10)
    monkeypatch.setattr(byte_rows, "PART_ROWS", 16)
    monkeypatch.setattr(quick_scan, "SPARE", 2)
    monkeypatch.setattr(loaded_index, "MOST_FEW_OF_A_SCAN", 2)


@pytest.mark.usefixtures("every_index_is_large")
def test_a_large_index_is_searched_by_its_bytes_at_once_and_finds_the_same(filler: Filler) -> None:
    filler.add(60)
    filler.fold()
    reader = filler.library.reader(filler.space)
    assert reader.current().index.scan is not None
    check(filler, reader)
    filler.delete(7)
    filler.add(25)
    check(filler, reader)
    filler.fold()
    assert reader.current().index.scan.count == 84
    check(filler, reader)


@pytest.mark.usefixtures("every_index_is_large")
def test_a_request_finishes_on_bytes_that_are_replaced_meanwhile(filler: Filler) -> None:
    filler.add(50)
    filler.fold()
    before = filler.library.reader(filler.space).current()
    query = filler.unit()
    expected = filler.brute_force(query, 5)[0]
    filler.add(20)
    filler.fold()
    assert before.nearest(query, 5).image_ids.tolist() == expected
    assert len(list(filler.library.data_dir.glob("index/*/*.bytes.faiss"))) == 1


@pytest.mark.usefixtures("every_index_is_large")
@pytest.mark.parametrize("damage", ["gone", "cut", "one byte"])
def test_damaged_bytes_are_found_and_written_anew(filler: Filler, damage: str) -> None:
    filler.add(40)
    filler.fold()
    assert not [each.kind for each in examine(filler.library).findings]
    [path] = filler.library.data_dir.glob("index/*/*.bytes.faiss")
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:300] if damage == "cut" else content[:-40] + b"?" + content[-39:])
    if damage != "one byte":  # which only a reading of the whole file can show
        check(filler, filler.library.reader(filler.space))
        with filler.writer() as writer:
            assert filler.library.fold(writer) is not None
    else:
        assert [each.kind for each in examine(filler.library).findings] == ["index_damaged"]
        filler.fold()
    assert not [each.kind for each in examine(filler.library).findings]
    check(filler, filler.library.reader(filler.space))


def wait_for_generation(reader: SnapshotReader, generation: str) -> None:
    deadline = time.monotonic() + 20
    while reader.current().manifest.generation != generation:
        assert time.monotonic() < deadline, "the new generation is not searched"
        time.sleep(0.005)


@pytest.mark.parametrize("large", [True, False])
def test_a_server_searches_the_generation_before_until_the_next_is_ready(
    filler: Filler, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, large: bool
) -> None:
    if large:
        request.getfixturevalue("every_index_is_large")
    filler.add(40)
    filler.fold()
    reader = filler.library.reader(filler.space)
    first = reader.current().manifest.generation
    reader.open_beside()
    go_on = threading.Event()
    prepare = loaded_index.LoadedIndex.prepare

    def prepare_when_told(index: loaded_index.LoadedIndex) -> None:
        assert go_on.wait(20)
        prepare(index)

    monkeypatch.setattr(loaded_index.LoadedIndex, "prepare", prepare_when_told)
    filler.delete(7)
    filler.add(10)
    filler.fold()
    for _ in range(2):
        check(filler, reader)
        assert reader.current().manifest.generation == first
        filler.add(5)
    check(filler, reader)
    assert reader.current() is reader.current()
    go_on.set()
    wait_for_generation(reader, filler.library.manifest(filler.space).generation)
    check(filler, reader)
    assert len(reader.current().tail_ids) == 10


def test_a_server_searches_on_when_the_next_generation_is_damaged(filler: Filler) -> None:
    filler.add(40)
    filler.fold()
    reader = filler.library.reader(filler.space)
    reader.current()
    reader.open_beside()
    filler.add(10)
    filler.fold()
    [path] = filler.library.data_dir.glob("index/*/*.faiss")
    path.write_bytes(b"")
    check(filler, reader)
    deadline = time.monotonic() + 20
    while reader.current().manifest is not None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    check(filler, reader)
