"""What may be named to the indexer, and what a walk meets and passes over."""

import os
import shutil
from pathlib import Path

import pytest
from drawn_containers import drawn, write_tar
from drawn_pictures import draw_picture

from indexer.config import IndexConfig
from indexer.errors import SourceError
from indexer.preview import preview
from indexer.report import Counts
from indexer.sources.listed import group_listed, split_list
from indexer.sources.named import Named
from indexer.sources.walk import names_below
from storage.files import list_roots, locations_of
from storage.jobs import get_job, list_failures
from storage.library import Library
from storage.pictures import count_by_collection, list_images


def paths(library: Library) -> list[str]:
    return sorted(
        location.path
        for image in list_images(library.engine)
        for _, location in locations_of(library.engine, image.id)
    )


def names(folder: Path, *exclude: str) -> list[str]:
    return list(names_below(Named(folder), exclude))


def test_patterns_pass_over_files_folders_and_members_alike(tmp_path: Path) -> None:
    for name in ("a.png", "a_thumb.jpg", "raw/b.png", "in/raw/c.png", "in/raw.png", "in/[x].png"):
        draw_picture(tmp_path / "p" / name)
    write_tar(tmp_path / "p" / "s.tar", {"raw/d.png": b"d", "e_thumb.jpg": b"e", "f.png": b"f"})
    found = names(tmp_path / "p", "*_thumb.jpg", "raw", "[[]x[]].png")
    assert found == ["a.png", "in/raw.png", "s.tar/f.png"]
    assert names(tmp_path / "p", "s.tar", "in", "raw") == ["a.png", "a_thumb.jpg"]
    assert names(tmp_path / "p" / "raw", "raw", "p") == ["b.png"]  # what is named is meant


def test_a_folder_is_gone_through_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    draw_picture(tmp_path / "p" / "one" / "a.png")
    draw_picture(tmp_path / "elsewhere" / "b.png")
    for number in range(3):
        (tmp_path / "p" / f"link {number}").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "p" / "one" / "up").symlink_to(tmp_path / "p")
    (tmp_path / "p" / "one" / "here").symlink_to(".")
    (tmp_path / "elsewhere" / "around").symlink_to(tmp_path / "p")
    (tmp_path / "p" / "self").symlink_to("self")
    assert names(tmp_path / "p") == ["link 0/b.png", "one/a.png"]


def test_the_walk_keeps_the_catalogs_order(tmp_path: Path) -> None:
    """By bytes of the whole path: "a-b", then what is in "a", then "a0"."""
    for name in ("a/x.png", "a-b.png", "a0.png", "ab/y.png", "é.png", "z.png", "a.tar.png"):
        draw_picture(tmp_path / "p" / name)
    write_tar(tmp_path / "p" / "a.tar", {"b/c.png": b"1", "b.png": b"2", "b-c.png": b"3"})
    found = names(tmp_path / "p")
    assert found == sorted(found, key=os.fsencode)
    assert len(found) == 10


def test_folders_that_lie_in_one_another_can_be_named_together(
    index, pictures: Path, library: Library
) -> None:
    counts = index(pictures / "sky", pictures, pictures / "plants").counts
    assert counts == Counts(seen=11, new=6, unchanged=5, embedded=6)
    assert [root.path for root in list_roots(library.engine)] == [pictures]


def test_a_caption_that_is_written_later_is_a_change(
    index, pictures: Path, library: Library
) -> None:
    index(pictures)
    caption = pictures / "red.txt"
    caption.write_text("a red square", encoding="utf-8")
    assert index(pictures).counts == Counts(seen=6, unchanged=6)

    def kept() -> list[tuple[int | None]]:
        with library.engine.connect() as connection:
            query = "SELECT sidecar_mtime_ns FROM location WHERE path = 'red.png'"
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    assert kept() == [(caption.stat().st_mtime_ns,)]
    (pictures / "red.png.json").write_text('{"caption": "red"}', encoding="utf-8")
    os.utime(pictures / "red.png.json", (2**32, 2**32))
    index(pictures / "red.png")  # alone, without a listing of its folder
    assert kept() == [(2**32 * 10**9,)]
    caption.unlink()
    (pictures / "red.png.json").unlink()
    index(pictures)
    assert kept() == [(None,)]


def test_a_list_is_divided_by_lines_or_by_nul_bytes() -> None:
    assert split_list(b"a.png\nb c.png\n") == ["a.png", "b c.png"]
    assert split_list(b"a\nb.png\0c.png\0") == ["a\nb.png", "c.png"]
    assert split_list(b"a\nb.png", by_null=True) == ["a\nb.png"]
    assert split_list(b"caf\xe9.png\n") == [os.fsdecode(b"caf\xe9.png")]


def test_listed_files_are_indexed_and_nothing_beside_them(
    index, pictures: Path, library: Library
) -> None:
    listed = [str(pictures / name) for name in ("sky/blue.png", "red.png", "plants/green.png")]
    report = index(listed=[*listed, listed[0]])
    assert report.counts == Counts(seen=3, new=3, embedded=3)
    assert paths(library) == ["plants/green.png", "red.png", "sky/blue.png"]
    assert [root.path for root in list_roots(library.engine)] == [pictures]
    assert get_job(library.engine, report.job).sources == [f"{pictures} (3 listed files)"]
    assert index(listed=listed).counts == Counts(seen=3, unchanged=3)
    assert index(listed=listed[:1]).counts == Counts(seen=1, unchanged=1)  # none is missing
    assert index(pictures).counts == Counts(seen=6, new=3, unchanged=3, embedded=3)
    counts = preview(library, [], IndexConfig(), [str(pictures / "red.png")])
    assert counts == Counts(seen=1, unchanged=1)


def test_listed_files_that_are_missing_are_named_and_stop_nothing(
    index, pictures: Path, library: Library, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"n\xf6.png")
    there, gone = str(pictures / "sky" / "blue.png"), str(pictures / "sky" / odd)
    far = str(tmp_path / "nowhere" / "x.png")
    for _ in range(2):
        report = index(listed=[gone, there, far])
        assert (report.counts.seen, report.counts.failed) == (3, 2)
        failures = {each.path: each.reason for each in list_failures(library.engine, report.job)}
        assert failures == {odd: "there is no such file", far: "there is no such file"}
    draw_picture(pictures / "x.png", (1, 2, 3)).rename(gone)
    assert index(listed=[gone, there]).counts == Counts(seen=2, new=1, unchanged=1, embedded=1)
    assert [each.path for each in list_failures(library.engine)] == [far]


def test_a_listed_file_that_was_indexed_and_is_gone_is_reported_as_such(
    index, pictures: Path, library: Library
) -> None:
    listed = [str(pictures / "sky" / "blue.png"), str(pictures / "sky" / "white cloud.png")]
    index(listed=listed)
    Path(listed[0]).unlink()
    assert index(listed=listed).counts == Counts(seen=1, unchanged=1, removed=1)
    assert index(listed=listed, prune=True).counts == Counts(seen=1, unchanged=1, removed=1)
    assert paths(library) == ["white cloud.png"]


def test_a_list_may_name_folders_and_containers(
    index, pictures: Path, library: Library, tmp_path: Path
) -> None:
    shard = write_tar(tmp_path / "data" / "0.tar", {"a.png": drawn(tmp_path, 7)})
    listed = [str(pictures / "sky"), str(shard), str(pictures / "red.png")]
    assert index(listed=listed).counts == Counts(seen=4, new=4, embedded=4)
    assert paths(library) == ["0.tar/a.png", "red.png", "sky/blue.png", "sky/white cloud.png"]


def test_a_list_of_nothing_that_is_there_is_refused(index, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no names came"):
        index(listed=[])
    with pytest.raises(SourceError, match=r"none of the 2 files .* is x\.png"):
        index(listed=["x.png", "y.png"])


def test_listed_files_of_unrelated_places_do_not_make_the_whole_disk_a_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Path("/usr/share")
    file = next((path for path in elsewhere.rglob("*") if path.is_file()), None)
    if file is None:
        pytest.skip("nothing to read below /usr/share")
    draw_picture(tmp_path / "a" / "1.png")
    draw_picture(tmp_path / "b" / "2.png")
    monkeypatch.chdir(tmp_path)
    groups, others = group_listed([str(file), "a/1.png", "b/2.png"])
    assert others == []
    assert [group.folder for group in groups] == [str(file.parent), str(tmp_path)]


def test_a_new_collection_takes_in_what_is_listed(index, pictures: Path, library: Library) -> None:
    index(pictures)
    index(listed=[str(pictures / "red.png")], collection="best")
    assert count_by_collection(library.engine) == {"best": 1, "pictures": 5}


def test_folders_are_nested_as_deeply_as_paths_can_be(tmp_path: Path) -> None:
    draw_picture(tmp_path / "z.png")
    folders = [f"{tmp_path}/{'d/' * depth}" for depth in range(1, 601)]
    for folder in folders:
        Path(folder).mkdir()
    Path(folders[-1], "a.png").touch()
    found = names(tmp_path)
    Path(folders[-1], "a.png").unlink()
    for folder in reversed(folders):  # pytest removes them by recursion
        Path(folder).rmdir()
    assert found == ["d/" * 600 + "a.png", "z.png"]


def test_names_of_all_kinds_are_indexed(index, tmp_path: Path, library: Library) -> None:
    odd = ["new\nline.png", "quo\"te'.png", os.fsdecode(b"\xff\xfe.png"), "x" * 251 + ".png"]
    deep = tmp_path / "p"
    for number in range(30):
        deep /= f"folder {number:03d}"
    picture = draw_picture(tmp_path / "a.png")
    deep.mkdir(parents=True)
    for name in odd:
        shutil.copy(picture, deep / name)
    assert index(tmp_path / "p").counts == Counts(seen=4, new=4, embedded=1)
    assert index(tmp_path / "p").counts == Counts(seen=4, unchanged=4)
    assert {Path(path).name for path in paths(library)} == set(odd)
