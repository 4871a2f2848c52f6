"""Libraries too large to be scanned whole, at a size that is not: the limits are set low."""

from pathlib import Path

import numpy as np
import pytest

from storage.files import locations_of, register_root
from storage.index import kinds, large_index
from storage.index.codes import load_codes
from storage.index.kinds import CODED, EXACT, kind_of
from storage.index.large_index import LargeIndex
from storage.index.loaded_index import LoadedIndex
from storage.index.snapshot import Snapshot
from storage.index.vector_index import Manifest, build_generation, open_index, path_beside
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FileStat, IndexedFile, NewImage
from storage.upkeep.doctor import examine
from storage.upkeep.repair import repair

DIM, COUNT, CLUSTERS = 96, 6000, 30
COPIES = 700
"""More than there are candidates, all of one picture."""


class Space:
    fingerprint = "c0" * 32
    checkpoint = "codes"
    revision = None
    dim = DIM


@pytest.fixture(autouse=True)
def every_library_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "EXACT_ROWS", 0)
    monkeypatch.setattr(kinds, "WORTH_CODES", 0)
    monkeypatch.setattr(large_index, "LOOKED_AT_A_CANDIDATE", 4)
    monkeypatch.setattr(large_index, "FEW_ROWS", 100)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def made_rows() -> np.ndarray:
    """In clusters, with a few large numbers as towers have them, and one picture many times."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(CLUSTERS, DIM))
    rows = np.repeat(centres, COUNT // CLUSTERS, axis=0) + random.normal(size=(COUNT, DIM))
    rows[:, :4] *= 12
    rows[random.choice(COUNT, COPIES, replace=False)] = rows[0]
    return unit(rows).astype(np.float16)


def queries_like(rows: np.ndarray, kind: str, count: int = 40) -> np.ndarray:
    random = np.random.default_rng(4)
    different = np.flatnonzero((rows != rows[0]).any(axis=1))
    near = rows[random.choice(different, count, replace=False)].astype(np.float32)
    noise, gap = random.normal(size=(count, DIM)), random.normal(size=DIM)
    if kind == "a picture":
        return unit(near + 0.3 * noise / DIM**0.5)
    return unit(0.25 * near + (0.3 * noise + gap) / DIM**0.5)


ROWS = made_rows()
IDS = np.random.default_rng(6).permutation(np.arange(1, COUNT * 2, 2))
NOTHING = np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "EXACT_ROWS", 0)
        patch.setattr(kinds, "WORTH_CODES", 0)
        folder = tmp_path_factory.mktemp("large")
        blocks = ((IDS[at : at + 1000], ROWS[at : at + 1000]) for at in range(0, COUNT, 1000))
        return folder, build_generation(folder, "f" * 64, DIM, blocks, 1)


def snapshot_of(built: tuple[Path, Manifest], masked: np.ndarray = NOTHING) -> Snapshot:
    index = open_index(*built)
    assert isinstance(index, LargeIndex)
    tail = np.empty((0, DIM), dtype=np.float16)
    return Snapshot(DIM, 1, built[1], index, NOTHING, tail, masked)


def brute_force(query: np.ndarray, limit: int, allowed: np.ndarray | None = None):
    keep = np.full(COUNT, True) if allowed is None else np.isin(IDS, allowed)
    scores = (ROWS[keep].astype(np.float64) @ query.astype(np.float64)).round(6)
    best = np.lexsort((IDS[keep], -scores))[:limit]
    return IDS[keep][best].tolist(), scores[best].astype(np.float32).tolist()


def recall(snapshot: Snapshot, queries: np.ndarray, allowed: np.ndarray | None = None) -> float:
    found = [snapshot.nearest(query, 10, allowed).image_ids.tolist() for query in queries]
    wanted = [brute_force(query, 10, allowed)[0] for query in queries]
    return float(np.mean([len(set(a) & set(b)) for a, b in zip(found, wanted, strict=True)])) / 10


@pytest.mark.parametrize("kind", ["a picture", "a text"])
def test_nearly_all_of_the_best_are_found_and_the_answer_says_that_it_is_not_exact(
    built, kind: str
) -> None:
    snapshot = snapshot_of(built)
    queries = queries_like(ROWS, kind)
    assert recall(snapshot, queries) >= 0.97
    found = snapshot.nearest(queries[0], 10)
    ids, scores = brute_force(queries[0], COUNT)
    exact = dict(zip(ids, scores, strict=True))
    assert not found.exact
    assert found.scores.tolist() == [exact[image_id] for image_id in found.image_ids.tolist()]


def test_it_reads_few_rows(built) -> None:
    index = snapshot_of(built).index
    for query in queries_like(ROWS, "a text", 5):
        assert len(index.candidates(query, 10, None)) < COUNT / 20


def test_a_few_large_numbers_do_not_decide_alone(built) -> None:
    codes = snapshot_of(built).index.codes
    found = 0
    for query in queries_like(ROWS, "a picture"):
        rows, _ = codes.nearest(query, 64, 64, None)
        found += len(set(IDS[rows].tolist()) & set(brute_force(query, 10)[0]))
    assert found > 0.95 * 400  # .67 where codes are of the rows as they are


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
@pytest.mark.parametrize("chosen", ["at random", "in runs"])
def test_a_filter_loses_next_to_nothing(built, share: float, chosen: str) -> None:
    random = np.random.default_rng(1)
    many = int(share * COUNT)
    ids = IDS[:many] if chosen == "in runs" else random.choice(IDS, many, replace=False)
    allowed, snapshot = np.sort(ids), snapshot_of(built)
    for kind in ("a picture", "a text"):
        queries = queries_like(ROWS, kind)
        assert recall(snapshot, queries, allowed) >= 0.99
        assert np.isin(snapshot.nearest(queries[0], 100, allowed).image_ids, allowed).all()


@pytest.mark.parametrize("count", [0, 1, 99, 250])
def test_few_pictures_are_searched_exactly(built, count: int) -> None:
    allowed = np.sort(IDS[:count])
    [query] = queries_like(ROWS, "a text", 1)
    found = snapshot_of(built).nearest(query, 10, allowed)
    assert found.exact
    assert (found.image_ids.tolist(), found.scores.tolist()) == brute_force(query, 10, allowed)


def test_masked_pictures_are_passed_over_with_and_without_a_filter(built) -> None:
    masked, left = np.sort(IDS[::2]), np.sort(IDS[1::2])
    snapshot = snapshot_of(built, masked)
    queries = queries_like(ROWS, "a picture")
    for query in queries:
        for allowed in (None, np.sort(IDS)):
            found = snapshot.nearest(query, 10, allowed).image_ids
            wanted = brute_force(query, 10, left)[0]
            assert np.isin(found, left).all()
            assert len(set(found.tolist()) & set(wanted)) >= 9


def test_whoever_asks_for_very_many_gets_them_exactly(
    built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_index, "MOST_HITS", 1000)
    [query] = queries_like(ROWS, "a text", 1)
    found = snapshot_of(built).nearest(query, 1500)
    assert found.exact
    assert found.image_ids.tolist() == brute_force(query, 1500)[0]


def paged(snapshot: Snapshot, query: np.ndarray, size: int, pages: int) -> list[int]:
    """As search does it: each page is what stands behind the last picture of the one before."""
    given: list[int] = []
    after = (np.inf, -1)
    for _ in range(pages):
        wanted = len(given) + size
        while True:
            found = snapshot.nearest(query, wanted)
            order = list(zip((-found.scores).tolist(), found.image_ids.tolist(), strict=True))
            behind = [each for each in order if each > (-after[0], after[1])]
            if len(behind) >= size or len(order) < wanted:
                break
            wanted *= 2
        given += [image_id for _, image_id in behind[:size]]
        after = (-behind[size - 1][0], behind[size - 1][1])
    return given


@pytest.mark.parametrize("kind", ["a picture", "a text"])
def test_pages_follow_on_one_another(built, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_index, "LOOKED_AT_A_CANDIDATE", 32)
    snapshot = snapshot_of(built)
    for query in queries_like(ROWS, kind, 2):
        given = paged(snapshot, query, 50, 16)
        assert len(set(given)) == len(given) == 800
        assert given[:60] == snapshot.nearest(query, 60).image_ids.tolist()
        assert len(set(given) & set(brute_force(query, 800)[0])) >= 790


def test_copies_of_a_picture_are_all_given_and_in_order(built) -> None:
    query = ROWS[0].astype(np.float32)
    given = paged(snapshot_of(built), query, 50, COPIES // 50 + 1)
    assert given[:COPIES] == brute_force(query, COPIES)[0]


@pytest.mark.parametrize("count", [1, 2, 9, 17, 300])
def test_libraries_of_any_size_can_have_codes(tmp_path: Path, count: int) -> None:
    built = tmp_path, build_generation(tmp_path, "f" * 64, DIM, [(IDS[:count], ROWS[:count])], 1)
    [query] = queries_like(ROWS, "a picture", 1)
    allowed = np.sort(IDS[:count])
    found = snapshot_of(built).nearest(query, 5)
    assert found.image_ids.tolist() == brute_force(query, 5, allowed)[0]


def test_the_same_pictures_give_the_same_codes(built, tmp_path: Path) -> None:
    again = build_generation(tmp_path, "f" * 64, DIM, [(IDS, ROWS)], 1)
    written = [path_beside(folder, m) for folder, m in (built, (tmp_path, again))]
    assert written[0].read_bytes() == written[1].read_bytes()


@pytest.mark.parametrize("damage", ["gone", "empty", "cut short", "noise"])
def test_without_its_codes_an_index_is_searched_exactly(tmp_path: Path, damage: str) -> None:
    manifest = build_generation(tmp_path, "f" * 64, DIM, [(IDS, ROWS)], 1)
    path = path_beside(tmp_path, manifest)
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        noise = np.random.default_rng(0).bytes(5000)
        path.write_bytes({"empty": b"", "cut short": content[:-4000], "noise": noise}[damage])
    index = open_index(tmp_path, manifest)
    snapshot = Snapshot(
        DIM, 1, manifest, index, NOTHING, np.empty((0, DIM), dtype=np.float16), NOTHING
    )
    assert type(index) is LoadedIndex
    for query in queries_like(ROWS, "a text", 3):
        found = snapshot.nearest(query, 10)
        assert found.exact
        assert found.image_ids.tolist() == brute_force(query, 10)[0]


GB = 10**9


@pytest.mark.parametrize(
    ("rows", "memory_bytes", "kind"),
    [
        (100_000, 1 * GB, EXACT),
        (1_000_000, 16 * GB, EXACT),
        (2_000_000, 16 * GB, EXACT),
        (2_000_001, 16 * GB, CODED),
        (10_000_000, 16 * GB, CODED),
        (30_000_000, 16 * GB, EXACT),  # the codes would not fit
        (1_000_000, 2 * GB, CODED),  # a byte a number would take too much
    ],
)
def test_the_kind_follows_from_size_and_memory(
    monkeypatch: pytest.MonkeyPatch, rows: int, memory_bytes: int, kind: str
) -> None:
    monkeypatch.setattr(kinds, "EXACT_ROWS", 2_000_000)
    monkeypatch.setattr(kinds, "WORTH_CODES", 200_000)
    monkeypatch.setattr(kinds, "memory_bytes", lambda: memory_bytes)
    assert kind_of(rows, 768) == kind


class Filled:
    """A library of rows whose picture has the row's number, from 1 on, for its id."""

    def __init__(self, library: Library) -> None:
        self.library = library
        with self.writer() as writer:
            self.space = writer.space
        self.job = start_job(library.engine, "index", "codes", [])
        self.root = register_root(library.engine, Path("/pictures"), None)
        self.reader = library.reader(self.space)

    def writer(self):
        return self.library.writer("test", Space())

    def add(self, start: int, stop: int) -> None:
        batch = Batch()
        for number in range(start, stop):
            sha256 = number.to_bytes(32, "big")
            batch.images[sha256] = NewImage(sha256, 4, 3, "png", 9, "#000000")
            batch.embeddings[sha256] = ROWS[number].astype(np.float32)
            stat = FileStat(self.root.id, f"{number:06d}.png", 9, number)
            batch.files.append(IndexedFile(stat, self.root.collection_id, sha256))
        with self.writer() as writer:
            writer.commit(batch, self.job, {})

    def fold(self) -> Path:
        """→ the codes of the new generation, where it has any."""
        with self.writer() as writer:
            manifest = self.library.fold(writer, force=True)
        return path_beside(self.library.index_folder(self.space), manifest)

    def recall(self, numbers: range, gone: frozenset[int] = frozenset()) -> float:
        snapshot, shares = self.reader.current(), []
        allowed = np.array([number for number in numbers if number not in gone])
        for query in queries_like(ROWS, "a text", 10):
            scores = (ROWS[allowed].astype(np.float64) @ query.astype(np.float64)).round(6)
            wanted = allowed[np.lexsort((allowed, -scores))[:10]] - numbers[0] + 1
            found = snapshot.nearest(query, 10).image_ids
            shares.append(len(set(found.tolist()) & set(wanted.tolist())) / 10)
        return float(np.mean(shares))


@pytest.fixture
def filled(library: Library) -> Filled:
    return Filled(library)


def test_commits_deletions_and_generations_are_seen_at_once(filled: Filled) -> None:
    filled.add(1000, 2500)
    first = filled.fold()
    assert isinstance(filled.reader.current().index, LargeIndex)
    assert filled.recall(range(1000, 2500)) >= 0.97
    filled.add(2500, 2900)
    assert filled.recall(range(1000, 2900)) >= 0.97  # some of them in the tail
    held = filled.reader.current()
    query = queries_like(ROWS, "a text", 1)[0]
    before = held.nearest(query, 10).image_ids.tolist()
    gone = set(before[:3])
    locations = [locations_of(filled.library.engine, each)[0][0] for each in gone]
    with filled.writer() as writer:
        writer.forget(locations)
    assert not gone & set(filled.reader.current().nearest(query, 10).image_ids.tolist())
    second = filled.fold()
    assert (first.exists(), second.exists()) == (False, True)
    numbers = frozenset(each + 999 for each in gone)
    assert filled.recall(range(1000, 2900), numbers) >= 0.97
    assert held.nearest(query, 10).image_ids.tolist() == before  # by the codes that were removed


@pytest.mark.parametrize("damage", ["gone", "cut short", "one byte"])
def test_doctor_finds_damaged_codes_and_makes_them_anew(filled: Filled, damage: str) -> None:
    filled.add(1000, 2500)
    path = filled.fold()
    assert examine(filled.library).findings == []
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut short":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content)
    [finding] = examine(filled.library).findings
    assert (finding.kind, str(path) in finding.what) == ("index_damaged", True)
    mended = repair(filled.library)
    assert mended.after.findings == []
    assert len(list(path.parent.glob("*.codes.faiss"))) == 1
    assert filled.recall(range(1000, 2500)) >= 0.97


def test_codes_of_another_generation_are_left_over(filled: Filled) -> None:
    filled.add(1000, 1200)
    path = filled.fold()
    other = path.with_name("20200101T000000-0.codes.faiss")
    other.write_bytes(path.read_bytes())
    assert [each.kind for each in examine(filled.library).findings] == ["leftover"]
    assert repair(filled.library).after.findings == []
    assert (other.exists(), path.exists()) == (False, True)


def test_a_library_that_has_grown_large_gets_codes_with_the_next_job(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "WORTH_CODES", 10**6)
    filled.add(1000, 2500)
    assert filled.fold() is None
    monkeypatch.setattr(kinds, "WORTH_CODES", 0)
    with filled.writer() as writer:
        manifest = filled.library.fold(writer)
        assert manifest is not None
        assert filled.library.fold(writer) is None
    path = path_beside(filled.library.index_folder(filled.space), manifest)
    codes = load_codes(path)
    assert codes is not None
    assert codes.shape == (1500, DIM)
