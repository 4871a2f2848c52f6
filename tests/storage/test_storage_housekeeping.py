import shutil
from pathlib import Path

import pytest
from drawn_pictures import draw_picture

from indexer.report import Counts
from storage.errors import LibraryBusy
from storage.files import list_roots
from storage.jobs import count_failures
from storage.library import Library
from storage.lock import writer_lock
from storage.pictures import list_images
from storage.upkeep.doctor import examine
from storage.upkeep.housekeeping import (
    Choice,
    CollectionSize,
    HousekeepingError,
    forget,
    forgettable,
    list_collections,
    move_roots,
    plan_moves,
    rename_collection,
    sample_of,
)


def searchable(library: Library) -> int:
    return len(library.reader(library.active_space()).current().image_ids)


def shown(library: Library) -> list[str]:
    return sorted(image.path for image in list_images(library.engine))


def roots(library: Library) -> list[Path]:
    return [root.path for root in list_roots(library.engine)]


@pytest.fixture
def indexed(index, pictures: Path, library: Library) -> Library:
    index(pictures)
    return library


def test_collections_are_listed_with_their_pictures_and_files(
    index, pictures: Path, indexed: Library, tmp_path: Path
) -> None:
    draw_picture(tmp_path / "art" / "one.png", (1, 2, 3))
    shutil.copy(tmp_path / "art" / "one.png", tmp_path / "art" / "copy.png")
    index(tmp_path / "art")
    assert list_collections(indexed.engine) == [
        CollectionSize("art", 1, 2),
        CollectionSize("pictures", 6, 6),
    ]


def test_a_renamed_collection_keeps_its_pictures_and_those_to_come(
    index, pictures: Path, indexed: Library
) -> None:
    rename_collection(indexed, "pictures", "kỳ nghỉ")
    draw_picture(pictures / "later.png", (9, 9, 9))
    index(pictures)
    assert list_collections(indexed.engine) == [CollectionSize("kỳ nghỉ", 7, 7)]


def test_a_collection_is_not_renamed_into_another_nor_into_nothing(
    index, pictures: Path, indexed: Library, tmp_path: Path
) -> None:
    draw_picture(tmp_path / "art" / "one.png", (1, 2, 3))
    index(tmp_path / "art")
    before = list_collections(indexed.engine)
    with pytest.raises(HousekeepingError, match="'art' already"):
        rename_collection(indexed, "pictures", "art")
    with pytest.raises(HousekeepingError, match="not empty"):
        rename_collection(indexed, "pictures", "  ")
    with pytest.raises(HousekeepingError, match="no UTF-8"):
        rename_collection(indexed, "pictures", "caf\udce9")
    with pytest.raises(HousekeepingError, match="Did you mean 'pictures'"):
        rename_collection(indexed, "picture", "x")
    assert list_collections(indexed.engine) == before


def test_forgotten_pictures_are_masked_at_once_and_come_back_only_when_indexed_again(
    index, pictures: Path, indexed: Library
) -> None:
    reader = indexed.reader(indexed.active_space())
    assert len(reader.current().image_ids) == 6
    chosen = Choice(paths=(pictures / "sky", pictures / "red.png"))
    assert forgettable(indexed.engine, chosen).pictures == 3
    assert len(reader.current().image_ids) == 6
    assert forget(indexed, chosen).pictures == 3
    assert len(reader.current().image_ids) == 3
    assert sorted(path.name for path in (pictures / "sky").iterdir()) == [
        "blue.png",
        "white cloud.png",
    ]
    assert shown(indexed) == ["plants/green.png", "plants/yellow.png", "plants/đêm đen.png"]
    assert index(pictures / "plants").counts == Counts(seen=3, unchanged=3)
    assert len(reader.current().image_ids) == 3
    assert examine(indexed).findings == []
    assert index(pictures).counts == Counts(seen=6, new=3, unchanged=3)
    assert len(reader.current().image_ids) == 6


def test_the_next_generation_drops_what_was_forgotten(pictures: Path, indexed: Library) -> None:
    space = indexed.active_space()
    assert indexed.manifest(space).count == 6
    forget(indexed, Choice(paths=(pictures / "sky",)))
    with indexed.writer("test", space) as writer:
        assert indexed.fold(writer, force=True).count == 4
    assert examine(indexed).findings == []


def test_a_folder_whose_name_begins_like_another_is_not_taken_for_it(
    index, pictures: Path, indexed: Library
) -> None:
    names = ("sky.png", "sky0/a.png", "sky-line/b.png", "skyline/c.png", "sky_/d.png")
    for mark, name in enumerate(names):
        draw_picture(pictures / name, (50, 60, 70), mark)
    index(pictures)
    forget(indexed, Choice(paths=(pictures / "sky",)))
    assert [path for path in shown(indexed) if path.startswith("sky")] == [
        "sky-line/b.png",
        "sky.png",
        "sky0/a.png",
        "sky_/d.png",
        "skyline/c.png",
    ]


def test_a_picture_that_another_file_holds_stays(index, pictures: Path, library: Library) -> None:
    (pictures / "copies").mkdir()
    shutil.copy(pictures / "red.png", pictures / "copies" / "red again.png")
    index(pictures)
    chosen = forgettable(library.engine, Choice(paths=(pictures / "copies",)))
    assert (len(chosen.located), chosen.pictures) == (1, 0)
    forget(library, Choice(paths=(pictures / "copies",)))
    assert searchable(library) == 6
    assert "red.png" in shown(library)


def test_many_files_can_be_named_at_once(index, tmp_path: Path, library: Library) -> None:
    folder = tmp_path / "many"
    for mark in range(30):
        draw_picture(folder / f"{mark}.png", (9, 90, 9), mark=mark)
    index(folder)
    names = [folder / f"{mark}.png" for mark in range(25)] * 60
    assert forget(library, Choice(paths=tuple(names))).pictures == 25
    assert searchable(library) == 5


def test_a_collection_is_forgotten_whole_with_the_roots_that_it_leaves_empty(
    index, pictures: Path, indexed: Library, tmp_path: Path
) -> None:
    draw_picture(tmp_path / "art" / "one.png", (1, 2, 3))
    index(tmp_path / "art")
    assert forget(indexed, Choice(collection="pictures")).pictures == 6
    assert list_collections(indexed.engine) == [CollectionSize("art", 1, 1)]
    assert roots(indexed) == [tmp_path / "art"]
    with pytest.raises(HousekeepingError, match="no collection 'pictures'"):
        forget(indexed, Choice(collection="pictures"))


def test_files_that_are_gone_or_could_not_be_read_can_be_forgotten(
    index, pictures: Path, library: Library
) -> None:
    (pictures / "sky" / "broken.jpg").write_text("only text")
    index(pictures)
    shutil.rmtree(pictures / "sky")
    chosen = forget(library, Choice(paths=(pictures / "sky",)))
    assert (chosen.pictures, len(chosen.failures)) == (2, 1)
    assert count_failures(library.engine) == 0


def test_a_folder_above_the_roots_names_them_all(
    index, pictures: Path, indexed: Library, tmp_path: Path
) -> None:
    draw_picture(tmp_path / "art" / "one.png", (1, 2, 3))
    index(tmp_path / "art")
    assert forget(indexed, Choice(paths=(tmp_path,))).pictures == 7
    assert (searchable(indexed), roots(indexed)) == (0, [])


def test_a_path_that_the_library_does_not_know_is_named_and_nothing_is_forgotten(
    pictures: Path, indexed: Library, tmp_path: Path
) -> None:
    with pytest.raises(HousekeepingError, match=f"no picture there. .*below: {pictures}"):
        forget(indexed, Choice(paths=(pictures / "sky", tmp_path / "nowhere")))
    assert searchable(indexed) == 6


@pytest.mark.parametrize("how", ["moved", "copied with new times"])
def test_a_root_that_moved_is_found_at_its_new_place_and_nothing_is_embedded_again(
    index, pictures: Path, indexed: Library, tmp_path: Path, how: str
) -> None:
    new = tmp_path / "disk 2" / "photos"
    new.parent.mkdir()
    if how == "moved":
        pictures.rename(new)
    else:
        shutil.copytree(pictures, new, copy_function=shutil.copyfile)
    moves = plan_moves(indexed.engine, pictures, new)
    assert sample_of(indexed.engine, moves).there == 6
    move_roots(indexed, pictures, new)
    assert roots(indexed) == [new]
    assert index(new).counts == Counts(seen=6, unchanged=6)
    assert searchable(indexed) == 6
    assert examine(indexed).findings == []


def test_all_roots_below_a_folder_move_together_even_onto_each_others_places(
    index, library: Library, tmp_path: Path
) -> None:
    old, new = tmp_path / "p", tmp_path / "p" / "x"
    draw_picture(old / "y" / "one.png", (200, 0, 0))
    draw_picture(old / "x" / "y" / "two.png", (0, 200, 0))
    index(old / "y")
    index(old / "x" / "y")
    (tmp_path / "p").rename(tmp_path / "aside")
    old.mkdir()
    (tmp_path / "aside").rename(new)
    move_roots(library, old, new)
    assert roots(library) == [new / "x" / "y", new / "y"]
    assert index(new / "y").counts == Counts(seen=1, unchanged=1)
    assert index(new / "x" / "y").counts == Counts(seen=1, unchanged=1)


def test_a_sample_tells_another_folder_from_the_one_that_moved(
    pictures: Path, indexed: Library, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(pictures, other)
    for path in other.rglob("*.png"):
        path.write_bytes(b"of another size")
    shutil.copy(pictures / "red.png", other / "red.png")
    sampled = sample_of(indexed.engine, plan_moves(indexed.engine, pictures, other))
    assert (sampled.looked_for, sampled.there, sampled.is_enough) == (6, 1, False)
    assert sampled.first_missing.is_relative_to(other)


def test_roots_do_not_come_to_lie_in_one_another(
    index, pictures: Path, indexed: Library, tmp_path: Path
) -> None:
    draw_picture(tmp_path / "art" / "old" / "one.png", (1, 2, 3))
    index(tmp_path / "art" / "old")
    art = tmp_path / "art"
    for new in (art, art / "old", art / "old" / "deep"):
        with pytest.raises(HousekeepingError, match=f"polyglance index {new}"):
            move_roots(indexed, pictures, new)
    with pytest.raises(HousekeepingError, match="part of the root"):
        move_roots(indexed, pictures / "sky", tmp_path / "sky")
    with pytest.raises(HousekeepingError, match="no folder that was indexed"):
        move_roots(indexed, tmp_path / "nowhere", tmp_path / "sky")
    assert roots(indexed) == [tmp_path / "art" / "old", pictures]


def test_nothing_is_changed_beside_another_writer(pictures: Path, indexed: Library) -> None:
    with writer_lock(indexed.data_dir, "index"):
        for change in (
            lambda: rename_collection(indexed, "pictures", "x"),
            lambda: forget(indexed, Choice(paths=(pictures,))),
            lambda: move_roots(indexed, pictures, pictures.parent / "new"),
        ):
            with pytest.raises(LibraryBusy, match="polyglance index"):
                change()
    assert (searchable(indexed), roots(indexed)) == (6, [pictures])
