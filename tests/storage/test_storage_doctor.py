import hashlib
import itertools
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from pathlib import Path

import faiss
import numpy as np
import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture
from sqlalchemy import delete, select, text, update

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import Counts, IndexRequest
from storage.catalog.schema import Counter, Embedding, Image, Location, Shard
from storage.errors import LibraryBusy
from storage.index.vector_index import MANIFEST, read_manifest
from storage.library import Library
from storage.lock import writer_lock
from storage.upkeep.doctor import examine
from storage.upkeep.repair import repair
from storage.words.picture_words import matching_words


def kinds(library: Library) -> list[str]:
    return sorted(finding.kind for finding in examine(library).findings)


def searchable(library: Library) -> int:
    return len(library.reader(library.active_space()).current().image_ids)


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def indexed(index, pictures: Path, library: Library) -> Library:
    """Six pictures in the index, a seventh in the tail."""
    index(pictures)
    draw_picture(pictures / "later.png", (128, 128, 128), mark=7)
    index(pictures)
    assert len(library.reader(library.active_space()).current().tail_ids) == 1
    return library


def shards(library: Library) -> list[Path]:
    with library.engine.connect() as connection:
        names = connection.execute(select(Shard.name).order_by(Shard.id)).scalars()
        return [next(library.data_dir.glob(f"embeddings/*/{name}")) for name in names]


def execute(library: Library, *statements: object) -> None:
    """Past every check: as damage comes."""
    with sqlite3.connect(library.data_dir / "catalog.db") as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            connection.execute(str(statement))
    connection.close()


def test_a_library_in_order_is_clean_through_its_whole_life(
    index, pictures: Path, indexed: Library
) -> None:
    assert kinds(indexed) == []
    (pictures / "red.png").rename(pictures.parent / "kept.png")
    index(pictures, prune=True)
    assert kinds(indexed) == []  # deleted and masked, still in the index
    (pictures.parent / "kept.png").rename(pictures / "red.png")
    index(pictures)
    assert kinds(indexed) == []  # and back
    (pictures / "red.png").unlink()
    index(pictures, prune=True)
    with indexed.writer("test", ColorEncoder().space) as writer:
        writer.purge_deleted()
        assert kinds(indexed) == []  # let go by the catalog, and still in the index
        indexed.fold(writer, force=True)
    diagnosis = examine(indexed)
    assert diagnosis.findings == []
    assert (diagnosis.pictures, diagnosis.thumbnails_missing) == (6, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE picture_words SET names = ' other ' WHERE rowid = 2",
        "DELETE FROM picture_words WHERE rowid = 3",
        "INSERT INTO picture_words(rowid, names, words) VALUES (99, ' ghost ', '')",
        "UPDATE location SET path = 'elsewhere.png' WHERE image_id = 4",
        "INSERT INTO image_text(image_id, kind, source, text) VALUES (1, 'title', 'xmp', 'ghost')",
        "INSERT INTO image_text(image_id, kind, source, text) VALUES (1, '', 'sidecar:99', '')",
        "UPDATE picture_words_data SET block = zeroblob(9) WHERE id > 10",
    ],
)
def test_words_that_are_not_those_of_the_catalog_are_made_anew(
    indexed: Library, statement: str
) -> None:
    execute(indexed, statement)
    assert kinds(indexed) == ["words_stale"]

    repaired = repair(indexed)

    assert repaired.done == ["Made the text index anew from the catalog."]
    assert repaired.after.findings == []
    assert [len(matching_words(indexed.engine, word, 9)) for word in ("green", "plants")] == [1, 3]


def test_words_of_a_picture_that_is_no_more_are_removed(indexed: Library) -> None:
    execute(indexed, "INSERT INTO image_text(image_id, kind, source, text) VALUES (99, '', '', '')")
    assert kinds(indexed) == ["dangling_rows"]

    assert repair(indexed).after.findings == []


def test_an_empty_library_is_clean(library: Library) -> None:
    assert kinds(library) == []
    repaired = repair(library)
    assert (repaired.done, repaired.after.findings) == ([], [])


def test_looking_changes_nothing(indexed: Library) -> None:
    shards(indexed)[0].unlink()
    before = tree(indexed.data_dir)
    examine(indexed)
    examine(indexed)
    assert tree(indexed.data_dir) == before


def remove_shard(library: Library) -> None:
    shards(library)[0].unlink()


def truncate_shard(library: Library) -> None:
    path = shards(library)[0]
    path.write_bytes(path.read_bytes()[:-10])


def flip_a_bit(library: Library) -> None:
    path = shards(library)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap_rows(library: Library) -> None:
    with library.engine.begin() as connection:
        first, second = connection.execute(
            select(Embedding.image_id).where(Embedding.row < 2).order_by(Embedding.row).limit(2)
        ).scalars()
        for image_id, row in ((first, 1), (second, 0)):
            where = Embedding.image_id == image_id
            connection.execute(update(Embedding).where(where).values(row=row))


def point_past_the_end(library: Library) -> None:
    with library.engine.begin() as connection:
        connection.execute(update(Embedding).where(Embedding.row == 3).values(row=999))


def lose_an_embedding_row(library: Library) -> None:
    with library.engine.begin() as connection:
        connection.execute(delete(Embedding).where(Embedding.row == 3))


def lose_the_shard_row(library: Library) -> None:
    execute(library, "DELETE FROM shard WHERE id = 1")


def lose_an_image_row(library: Library) -> None:
    execute(library, "DELETE FROM image WHERE id = 2")


def index_folder(library: Library) -> Path:
    return next(library.data_dir.glob("index/*"))


def truncate_index(library: Library) -> None:
    [path] = index_folder(library).glob("*.faiss")
    path.write_bytes(path.read_bytes()[:50])


def break_manifest(library: Library) -> None:
    (index_folder(library) / MANIFEST).write_text("{}")


def foreign_manifest(library: Library) -> None:
    path = index_folder(library) / MANIFEST
    fingerprint = library.active_space().fingerprint
    path.write_text(path.read_text().replace(fingerprint, "0" * 64))


def manifest_from_the_future(library: Library) -> None:
    path = index_folder(library) / MANIFEST
    path.write_text(path.read_text().replace('"last_shard_id": 1', '"last_shard_id": 9'))


def rewrite_index(library: Library, change) -> None:
    folder = index_folder(library)
    path = folder / f"{read_manifest(folder).generation}.faiss"
    index = faiss.read_index(str(path))
    change(index)
    faiss.write_index(index, str(path))


def forget_in_index(library: Library) -> None:
    """One id less, and one that nobody knows, so that the count stays right."""

    def change(index) -> None:
        index.remove_ids(np.array([1], dtype=np.int64))
        index.add_with_ids(np.ones((1, index.d), dtype=np.float32), np.array([77], np.int64))

    rewrite_index(library, change)


def change_in_index(library: Library) -> None:
    def change(index) -> None:
        index.remove_ids(np.array([1], dtype=np.int64))
        index.add_with_ids(-np.ones((1, index.d), dtype=np.float32), np.array([1], np.int64))

    rewrite_index(library, change)


def turn_back_the_counter(library: Library) -> None:
    with library.engine.begin() as connection:
        connection.execute(update(Counter).where(Counter.name == "image_id").values(value=2))


def unmask(library: Library) -> None:
    with library.engine.begin() as connection:
        connection.execute(delete(Location).where(Location.image_id == 1))


def mask(library: Library) -> None:
    with library.engine.begin() as connection:
        connection.execute(update(Image).where(Image.id == 1).values(deleted_at=Image.added_at))


DAMAGE = {
    remove_shard: {"shard_missing"},
    truncate_shard: {"shard_damaged"},
    flip_a_bit: {"shard_damaged"},
    swap_rows: {"embedding_misplaced"},
    point_past_the_end: {"embedding_misplaced"},
    lose_an_embedding_row: {"not_embedded", "index_wrong"},
    lose_the_shard_row: {"dangling_rows", "index_wrong"},
    lose_an_image_row: {"dangling_rows"},
    truncate_index: {"index_damaged"},
    break_manifest: {"index_damaged"},
    foreign_manifest: {"index_mismatch"},
    manifest_from_the_future: {"index_mismatch"},
    forget_in_index: {"index_incomplete", "index_wrong"},
    change_in_index: {"index_wrong"},
    turn_back_the_counter: {"counters"},
    unmask: {"without_file"},
    mask: {"wrongly_masked"},
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_named_mended_and_the_next_index_makes_all_whole(
    index, pictures: Path, indexed: Library, damage
) -> None:
    theirs = tree(pictures)
    damage(indexed)
    found = {f.kind for f in examine(indexed).findings if not f.harmless}
    assert DAMAGE[damage] <= found
    assert all(finding.what and finding.remedy for finding in examine(indexed).findings)
    repaired = repair(indexed)
    assert repaired.done
    assert repaired.after.only_awaits_indexing, repaired.after.findings
    assert set(kinds(indexed)) <= {"not_embedded"}
    waiting = 7 - searchable(indexed)
    report = index(pictures)
    assert (report.counts.seen, report.counts.failed) == (7, 0)
    assert report.counts.embedded <= max(waiting, 1)
    assert kinds(indexed) == []
    assert searchable(indexed) == 7
    assert tree(pictures) == theirs
    assert index(pictures).counts == Counts(seen=7, unchanged=7)


def test_only_what_was_lost_is_embedded_again(index, pictures: Path, indexed: Library) -> None:
    shards(indexed)[1].unlink()
    assert repair(indexed).after.findings[0].kind == "not_embedded"
    assert searchable(indexed) == 6
    assert index(pictures).counts.embedded == 1
    assert searchable(indexed) == 7


def test_a_server_that_was_running_finds_the_pictures_again(
    index, pictures: Path, indexed: Library
) -> None:
    reader = indexed.reader(indexed.active_space())
    assert len(reader.current().image_ids) == 7
    shards(indexed)[1].unlink()
    repair(indexed)
    assert len(reader.current().image_ids) == 6
    index(pictures)  # its shard gets the number of the one that was taken out
    assert len(reader.current().image_ids) == 7


def test_a_repair_that_dies_before_the_index_is_built_hides_nothing(
    index, pictures: Path, indexed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in shards(indexed):
        path.unlink()

    def die(*_: object, **__: object) -> None:
        raise OSError("the power went")

    monkeypatch.setattr(Library, "fold", die)
    with pytest.raises(OSError, match="the power went"):
        repair(indexed)
    monkeypatch.undo()
    assert index(pictures).counts.embedded == 7
    assert searchable(indexed) == 7
    assert kinds(indexed) == []


def test_leftovers_are_harmless_and_removed_by_a_repair(indexed: Library) -> None:
    folder = shards(indexed)[0].parent
    shutil.copy(shards(indexed)[0], folder / "part-000000000099-0123456789ab.parquet")
    (folder / ".part-1.parquet.7-7.tmp").write_bytes(b"half")
    (index_folder(indexed) / "20200101T000000-00000000.faiss").write_bytes(b"old")
    (folder / "notes of the user.txt").write_text("mine")
    diagnosis = examine(indexed)
    assert [each.kind for each in diagnosis.findings] == ["leftover"] * 3
    assert diagnosis.is_clean
    repaired = repair(indexed)
    assert repaired.done == ["Removed 3 files that belonged to nothing."]
    assert repaired.after.findings == []
    assert (folder / "notes of the user.txt").exists()
    assert searchable(indexed) == 7


def test_what_a_writer_has_in_hand_is_no_leftover_and_no_repair_begins_beside_it(
    indexed: Library,
) -> None:
    with writer_lock(indexed.data_dir, "index"):
        (shards(indexed)[0].parent / ".part-1.parquet.7-7.tmp").write_bytes(b"half")
        assert kinds(indexed) == []
        with pytest.raises(LibraryBusy, match="polyglance index"):
            repair(indexed)
    assert kinds(indexed) == ["leftover"]


def test_a_damaged_golden_record_is_named_and_left_to_the_user(indexed: Library) -> None:
    name = indexed.active_space().fingerprint[:16]
    golden = indexed.data_dir / "golden"
    golden.mkdir()
    np.savez(golden / f"{name}.npz", pictures=np.ones(3))
    assert kinds(indexed) == []
    whole = (golden / f"{name}.npz").read_bytes()
    (golden / f"{name}.npz").write_bytes(whole[:-40])
    (golden / f"{name}-background.npz").write_bytes(b"PK nothing")
    assert kinds(indexed) == ["background_damaged", "golden_damaged"]
    repaired = repair(indexed)
    assert [finding.kind for finding in repaired.after.findings] == ["golden_damaged"]
    assert not repaired.after.only_awaits_indexing
    assert (golden / f"{name}.npz").read_bytes() == whole[:-40]


def test_a_damaged_database_is_named_and_nothing_rests_on_it(indexed: Library) -> None:
    indexed.close()
    path = indexed.data_dir / "catalog.db"
    content = bytearray(path.read_bytes())
    for page in range(4096 * 3, len(content), 4096):
        content[page : page + 200] = b"\xff" * 200
    path.write_bytes(content)
    diagnosis = examine(indexed)
    assert [finding.kind for finding in diagnosis.findings] == ["catalog_damaged"]
    assert not diagnosis.is_clean
    before = tree(indexed.data_dir)
    assert repair(indexed).done == []
    assert tree(indexed.data_dir) == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX users and rights")
@pytest.mark.parametrize("locked", ["a shard", "the shards' folder", "the manifest"])
def test_what_this_user_may_not_read_is_named_and_not_taken_for_lost(
    indexed: Library, locked: str
) -> None:
    shard = shards(indexed)[0]
    indexed.close()
    path = {
        "a shard": shard,
        "the shards' folder": shard.parent,
        "the manifest": index_folder(indexed) / MANIFEST,
    }[locked]
    for each in [indexed.data_dir, *indexed.data_dir.rglob("*")]:
        each.chmod(0o777)
    path.chmod(0)

    def told_and_left() -> bool:
        library = Library.open(indexed.data_dir)
        repaired = repair(library)
        kinds = {finding.kind for finding in repaired.after.findings}
        return kinds == {"rights"} and repaired.done == []

    if os.geteuid() != 0:
        assert told_and_left()
    else:  # root may read everything: look at it as somebody else
        for folder in indexed.data_dir.parents:
            if str(folder).startswith(f"{tempfile.gettempdir()}/"):
                folder.chmod(folder.stat().st_mode | 0o055)
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            os._exit(0 if told_and_left() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    path.chmod(0o777)
    assert kinds(indexed) == []


def test_missing_thumbnails_are_counted_and_are_no_finding(indexed: Library) -> None:
    shutil.rmtree(indexed.data_dir / "thumbnails")
    diagnosis = examine(indexed)
    assert (diagnosis.thumbnails_missing, diagnosis.findings) == (7, [])


def test_a_copied_library_works_elsewhere_at_once(
    indexed: Library, tmp_path: Path, pictures: Path
) -> None:
    indexed.close()
    shutil.copytree(indexed.data_dir, tmp_path / "elsewhere" / "copy")
    shutil.rmtree(indexed.data_dir)
    copy = Library.open(tmp_path / "elsewhere" / "copy")
    assert examine(copy).findings == []
    encoder = ColorEncoder()
    snapshot = copy.reader(copy.active_space()).current()
    [best] = snapshot.nearest(encoder.encode_texts(["blue"])[0], 1).image_ids
    with copy.engine.connect() as connection:
        found = connection.execute(
            select(Location.path).where(Location.image_id == int(best))
        ).scalar()
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    assert found == "sky/blue.png"
    copy.close()


@pytest.mark.skipif(os.name == "nt", reason="fork and SIGKILL")
def test_a_repair_killed_at_any_step_leaves_what_the_next_one_mends(
    index, pictures: Path, indexed: Library, tmp_path: Path
) -> None:
    truncate_shard(indexed)
    lose_an_image_row(indexed)
    (shards(indexed)[0].parent / ".part-1.parquet.7-7.tmp").write_bytes(b"half")
    indexed.close()

    def killed_at(step: int, data_dir: Path) -> bool:
        child = os.fork()
        if child == 0:
            left = [step]

            def kill_when_due(name: str, arguments: tuple[object, ...]) -> None:
                inside = str(data_dir) in str(arguments[:1])
                if name in ("os.remove", "os.rename") and inside:
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(kill_when_due)
            repair(Library.open(data_dir))
            os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    for step in itertools.count(1):
        data_dir = tmp_path / f"killed-{step}"
        shutil.copytree(indexed.data_dir, data_dir)
        was_killed = killed_at(step, data_dir)
        library = Library.open(data_dir)
        repaired = repair(library)
        assert repaired.after.only_awaits_indexing
        job = IndexJob(library, ColorEncoder(), IndexConfig(workers=1))
        assert job.run(IndexRequest([str(pictures)])).counts.seen == 7
        assert searchable(library) == 7
        assert kinds(library) == []
        library.close()
        if not was_killed:
            break
    assert step > 5
