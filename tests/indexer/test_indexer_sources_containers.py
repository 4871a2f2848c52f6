"""Tars and Parquet files as folders of pictures."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from drawn_containers import drawn, write_dataset, write_tar
from pyarrow import parquet

from indexer.config import IndexConfig
from indexer.errors import SourceError
from indexer.preview import preview
from indexer.report import Counts
from storage.files import list_roots, locations_of
from storage.jobs import list_failures
from storage.library import Library
from storage.pictures import list_images
from storage.upkeep.housekeeping import move_roots, plan_moves, sample_of
from storage.words.picture_words import texts_of


def located(library: Library) -> dict[str, int]:
    """Image id by path."""
    return {
        location.path: image.id
        for image in list_images(library.engine)
        for _, location in locations_of(library.engine, image.id)
    }


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A webdataset shard of four samples, three of them pictures, in a folder with a picture."""
    draw_beside = tmp_path / "data" / "shards.png"
    draw_beside.parent.mkdir()
    draw_beside.write_bytes(drawn(tmp_path, 11))
    return write_tar(
        tmp_path / "data" / "shards" / "00000.tar",
        {
            "000000000.png": drawn(tmp_path, 0),
            "000000000.txt": b"a red thing",
            "000000000.json": b'{"caption": "a red thing", "status": "success"}',
            "000000001.json": b'{"status": "failed_to_download"}',
            "000000002.jpg": drawn(tmp_path, 1, "jpg"),
            "deeper/000000003.jpg": drawn(tmp_path, 2, "jpg"),
            "deeper/000000003.cls": b"7",
        },
    )


def test_a_tar_is_indexed_like_a_folder(index, shard: Path, library: Library) -> None:
    data = shard.parent.parent
    assert index(data).counts == Counts(seen=4, new=4, embedded=4)
    assert sorted(located(library)) == [
        "shards.png",
        "shards/00000.tar/000000000.png",
        "shards/00000.tar/000000002.jpg",
        "shards/00000.tar/deeper/000000003.jpg",
    ]
    assert index(data).counts == Counts(seen=4, unchanged=4)
    assert preview(library, [str(data)], IndexConfig()) == Counts(seen=4, unchanged=4)


def test_a_tar_can_be_indexed_alone_and_the_folder_above_later(
    index, shard: Path, library: Library
) -> None:
    assert index(shard).counts == Counts(seen=3, new=3, embedded=3)
    assert [root.path for root in list_roots(library.engine)] == [shard.parent]
    assert index(shard).counts == Counts(seen=3, unchanged=3)
    assert index(shard.parent.parent).counts == Counts(seen=4, new=1, unchanged=3, embedded=1)


def test_an_unchanged_tar_is_not_opened_again(index, shard: Path, tmp_path: Path) -> None:
    index(shard)
    before = shard.stat()
    shard.write_bytes(b"\xff" * before.st_size)  # what nobody looks at, nobody complains of
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert index(shard).counts == Counts(seen=3, unchanged=3)


def test_another_tar_of_the_same_time_is_noticed_by_its_size(
    index, shard: Path, tmp_path: Path, library: Library
) -> None:
    index(shard)
    before = shard.stat()
    again = {f"00000000{number}.png": drawn(tmp_path, 20 + number) for number in range(4)}
    write_tar(shard, {**again, "filling.txt": b"." * 20_000})
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    report = index(shard)
    assert report.counts == Counts(seen=4, new=3, changed=1, removed=2, embedded=4)


def test_a_tar_that_was_touched_or_grew_embeds_only_what_is_new(
    index, shard: Path, tmp_path: Path
) -> None:
    index(shard)
    os.utime(shard, (1, 1))
    assert index(shard).counts == Counts(seen=3, unchanged=3)
    names = {"000000000.png": drawn(tmp_path, 0), "000000009.png": drawn(tmp_path, 9)}
    write_tar(shard, names)
    report = index(shard, prune=True)
    assert report.counts == Counts(seen=2, new=1, unchanged=1, removed=2, embedded=1)
    assert index(shard).counts == Counts(seen=2, unchanged=2)


def test_a_tar_that_was_indexed_in_part_is_gone_on_with(
    index, shard: Path, library: Library
) -> None:
    """As a job leaves it that was killed: some of its rows are there, all with its time."""
    index(shard)
    (known,) = [
        location_id
        for image in list_images(library.engine)
        for location_id, location in locations_of(library.engine, image.id)
        if location.path.endswith("2.jpg")
    ]
    with library.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM location WHERE id = ?", (known,))
    assert index(shard).counts == Counts(seen=3, new=1, unchanged=2)


def test_a_tar_that_was_renamed_keeps_its_pictures(index, shard: Path, library: Library) -> None:
    index(shard.parent)
    ids = located(library)
    shard.rename(shard.with_name("renamed.tar"))
    assert index(shard.parent).counts == Counts(seen=3, moved=3)
    assert {path.replace("renamed", "00000"): id_ for path, id_ in located(library).items()} == ids


def test_a_tar_that_is_deleted_is_forgotten_only_when_asked(
    index, shard: Path, library: Library
) -> None:
    data = shard.parent.parent
    index(data)
    shard.unlink()
    assert index(data).counts == Counts(seen=1, unchanged=1, removed=3)
    assert index(data, prune=True).counts == Counts(seen=1, unchanged=1, removed=3)
    assert list(located(library)) == ["shards.png"]


def test_what_stands_before_the_break_of_a_tar_is_indexed(
    index, shard: Path, library: Library, tmp_path: Path
) -> None:
    whole = write_tar(tmp_path / "w.tar", {f"{n}.png": drawn(tmp_path, n) for n in range(3)})
    data = whole.read_bytes()
    shard.write_bytes(data[:2600])
    report = index(shard.parent)
    assert report.counts == Counts(seen=3, new=2, failed=1, embedded=2)
    (failure,) = list_failures(library.engine, report.job)
    assert failure.path == "00000.tar/"
    assert "cut off" in failure.reason
    assert index(shard.parent).counts == Counts(seen=3, unchanged=2, failed=1)
    shard.write_bytes(data)  # its writer was not done
    assert index(shard.parent).counts == Counts(seen=3, new=1, unchanged=2, embedded=1)
    assert list_failures(library.engine) == []


def test_pictures_behind_a_break_are_not_taken_for_gone(
    index, shard: Path, library: Library
) -> None:
    index(shard.parent)
    shard.write_bytes(shard.read_bytes()[:1000])
    report = index(shard.parent, prune=True)
    assert report.counts.removed == 0
    assert len(located(library)) == 3


def test_a_picture_in_a_tar_that_can_not_be_decoded_fails_alone(
    index, shard: Path, library: Library, tmp_path: Path
) -> None:
    write_tar(shard, {"a.png": b"rubbish", "b.png": drawn(tmp_path, 1), "c.png": b""})
    report = index(shard)
    assert report.counts == Counts(seen=3, new=1, failed=2, embedded=1)
    failures = {each.path: each.kind for each in list_failures(library.engine, report.job)}
    assert failures == {"00000.tar/a.png": "not_an_image", "00000.tar/c.png": "empty"}
    assert index(shard).counts == Counts(seen=3, unchanged=1, failed=2)


def test_members_are_known_by_content_and_excluded_by_name(
    index, shard: Path, library: Library, tmp_path: Path
) -> None:
    picture = drawn(tmp_path, 3)
    names = ("a", "__MACOSX/._b.png", ".hidden/c.png", "raw/d.png", "inner.tar", "e.cls")
    write_tar(shard, dict.fromkeys(names, picture))
    report = index(shard, config=IndexConfig(workers=1, exclude=(".*", "raw")))
    assert report.counts.seen == 2
    assert sorted(located(library)) == ["00000.tar/a", "00000.tar/inner.tar"]


def test_captions_within_containers_are_kept(index, shard: Path, library: Library) -> None:
    row = drawn(shard.parent, 9, "jpg")
    write_dataset(shard.parent / "rows.parquet", [row], text=["một con mèo"])
    index(shard.parent)
    ids = located(library)
    texts = texts_of(library.engine, list(ids.values()))

    def captions(path: str) -> set[str]:
        return {each.text for each in texts.get(ids[path], ()) if each.kind == "caption"}

    assert captions("00000.tar/000000000.png") == {"a red thing"}
    assert captions("rows.parquet/0.jpg") == {"một con mèo"}
    assert captions("00000.tar/000000002.jpg") == set()


def test_a_library_of_tars_can_be_remapped(index, shard: Path, library: Library) -> None:
    index(shard.parent)
    new = shard.parent.rename(shard.parent.parent / "moved")
    moves = plan_moves(library.engine, shard.parent, new)
    sampled = sample_of(library.engine, moves)
    assert (sampled.looked_for, sampled.there) == (3, 3)
    move_roots(library, shard.parent, new)
    assert index(new).counts == Counts(seen=3, unchanged=3)
    (new / shard.name).unlink()
    assert sample_of(library.engine, moves).there == 0


def test_a_compressed_tar_is_refused_with_what_to_do(index, tmp_path: Path) -> None:
    for name in ("x.tar.gz", "x.tgz", "x.tar.zst"):
        (tmp_path / name).write_bytes(b"\x1f\x8b")
        with pytest.raises(SourceError, match=r"plain \.tar"):
            index(tmp_path / name)


def test_a_folder_may_be_called_like_a_tar(index, tmp_path: Path, library: Library) -> None:
    folder = tmp_path / "odd" / "a.tar"
    folder.mkdir(parents=True)
    (folder / "b.png").write_bytes(drawn(tmp_path, 1))
    assert index(folder.parent).counts.new == 1
    assert index(folder).counts == Counts(seen=1, unchanged=1)
    assert list(located(library)) == ["a.tar/b.png"]


def test_rows_of_a_hugging_face_dataset_are_pictures(
    index, tmp_path: Path, library: Library
) -> None:
    rows = [drawn(tmp_path, number, "jpg") for number in range(11)]
    rows[4] = None
    captions = [f"picture {number}" for number in range(11)]
    path = write_dataset(tmp_path / "hf" / "train.parquet", rows, caption=captions)
    assert index(path.parent).counts == Counts(seen=10, new=10, embedded=10)
    assert "train.parquet/03.jpg" in located(library)
    assert "train.parquet/04.jpg" not in located(library)
    assert index(path.parent).counts == Counts(seen=10, unchanged=10)
    os.utime(path, (1, 1))
    assert index(path).counts == Counts(seen=10, unchanged=10)


def test_rows_that_carry_a_path_are_called_by_it(index, tmp_path: Path, library: Library) -> None:
    rows = [drawn(tmp_path, number) for number in range(4)]
    in_order = ["a/1.png", "a/2.png", "b.png", "c.png"]
    write_dataset(tmp_path / "hf" / "one.parquet", rows, in_order)
    mixed = ["z.png", "z.png", "../../etc/a.png", "/b.png"]
    write_dataset(tmp_path / "hf" / "two.parquet", rows, mixed)
    index(tmp_path / "hf")
    assert sorted(located(library)) == [
        *(f"one.parquet/{name}" for name in in_order),
        "two.parquet/0/z.png",
        "two.parquet/1/z.png",
        "two.parquet/2/__/__/etc/a.png",
        "two.parquet/3/b.png",
    ]


def test_a_plain_column_of_picture_bytes_is_read_and_failed_downloads_are_not_ours(
    index, tmp_path: Path, library: Library
) -> None:
    """img2dataset's Parquet output: no picture where the status is not success."""
    table = pa.table(
        {
            "key": ["0", "1", "2"],
            "status": ["success", "failed_to_download", "success"],
            "jpg": pa.array([drawn(tmp_path, 1, "jpg"), None, drawn(tmp_path, 2, "jpg")]),
            "thumb_hash": pa.array([b"\1\2", b"\1\2", b"\1\2"]),
        }
    )
    (tmp_path / "laion").mkdir()
    parquet.write_table(table, tmp_path / "laion" / "00000.parquet")
    assert index(tmp_path / "laion").counts == Counts(seen=2, new=2, embedded=2)
    assert sorted(located(library)) == ["00000.parquet/0.jpg", "00000.parquet/2.jpg"]


def test_an_img2dataset_folder_of_tars_has_no_failures_of_ours(
    index, shard: Path, library: Library
) -> None:
    status = {"key": ["0", "1"], "status": ["success", "failed_to_download"], "sha256": ["a", None]}
    parquet.write_table(pa.table(status), shard.with_suffix(".parquet"))
    (shard.parent / "00000_stats.json").write_text('{"failed_to_download": 1}')
    report = index(shard.parent)
    assert report.counts == Counts(seen=3, new=3, embedded=3)
    assert list_failures(library.engine) == []


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing else", b"<html>"])
@pytest.mark.parametrize("name", ["x.tar", "x.parquet"])
def test_what_is_no_container_fails_with_a_reason(
    index, tmp_path: Path, library: Library, name: str, content: bytes
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / name).write_bytes(content)
    report = index(tmp_path / "bad")
    assert report.counts == Counts(seen=1, failed=1)
    (failure,) = list_failures(library.engine, report.job)
    assert failure.path == f"{name}/"
    assert any(word in failure.reason for word in ("empty", "no tar", "no Parquet", "cut off"))
