"""What a second run does not do again."""

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from color_encoder import ColorEncoder

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from storage.library import Library
from storage.pictures import list_images
from storage.thumbnails import STORED_SIDE
from storage.upkeep.doctor import examine
from storage.upkeep.housekeeping import move_roots

_opened: list[str] | None = None


def _note_opened(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


sys.addaudithook(_note_opened)  # there is no way to take one off again


class CountingEntry:
    """An entry of a folder that counts how often it is asked for its state."""

    def __init__(self, entry: os.DirEntry[str], asked: Counter[str]) -> None:
        self._entry = entry
        self._asked = asked

    def stat(self, **options: bool) -> os.stat_result:
        self._asked[self._entry.path] += 1
        return self._entry.stat(**options)

    def __getattr__(self, name: str) -> object:
        return getattr(self._entry, name)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each path's state was asked for."""
    counted: Counter[str] = Counter()
    scandir, stat, lstat = os.scandir, os.stat, os.lstat

    class Listing:
        def __init__(self, path: os.PathLike[str] | str) -> None:
            self._listing = scandir(path)

        def __enter__(self) -> "Listing":
            return self

        def __exit__(self, *_: object) -> None:
            self._listing.close()

        def __iter__(self):
            return (CountingEntry(entry, counted) for entry in self._listing)

    def counting(function):
        def call(path, *arguments, **options):
            counted[os.fspath(path) if not isinstance(path, int) else ""] += 1
            return function(path, *arguments, **options)

        return call

    monkeypatch.setattr(os, "scandir", Listing)
    monkeypatch.setattr(os, "stat", counting(stat))
    monkeypatch.setattr(os, "lstat", counting(lstat))
    return counted


def test_an_unchanged_file_costs_one_stat_and_is_not_opened(
    library: Library, index, pictures: Path, asked: Counter[str]
) -> None:
    global _opened  # noqa: PLW0603
    index(pictures)
    asked.clear()
    _opened = []
    try:
        report = index(pictures)
    finally:
        opened, _opened = _opened, None
    assert (report.counts.unchanged, report.counts.embedded) == (6, 0)
    files = sorted(str(path) for path in pictures.rglob("*.png"))
    assert {path: asked[path] for path in files} == dict.fromkeys(files, 1)
    assert not set(files) & set(opened)


def test_moved_renamed_and_copied_files_are_not_shown_to_the_encoder(
    library: Library, index, pictures: Path
) -> None:
    class Refusing(ColorEncoder):
        def encode_preprocessed(self, batch):
            raise AssertionError("there is nothing to embed")

    index(pictures)
    (pictures / "red.png").rename(pictures / "crimson.png")
    (pictures / "plants").rename(pictures / "garden")
    shutil.copy(pictures / "sky" / "blue.png", pictures / "blue again.png")
    job = IndexJob(library, Refusing(), IndexConfig(workers=1))
    counts = job.run(IndexRequest([str(pictures)], prune=True)).counts
    assert (counts.moved, counts.new, counts.embedded, counts.removed) == (4, 1, 0, 0)
    assert len(list_images(library.engine)) == 6


def test_a_copied_library_works_elsewhere_and_its_pictures_too_once_it_is_told(
    library: Library, index, pictures: Path, tmp_path: Path
) -> None:
    index(pictures)
    library.close()
    moved = tmp_path / "another disk"
    shutil.copytree(library.data_dir, moved / "copy")
    shutil.move(pictures, moved / "pictures")
    shutil.rmtree(library.data_dir)

    copy = Library.open(moved / "copy")
    snapshot = copy.reader(copy.active_space()).current()
    [red] = snapshot.nearest(ColorEncoder().encode_texts(["red"])[0], 1).image_ids.tolist()
    images = {image.id: image for image in list_images(copy.engine)}
    assert images[red].path == "red.png"
    assert all(copy.thumbnails.get(each.sha256, STORED_SIDE) for each in images.values())

    move_roots(copy, pictures, moved / "pictures")
    job = IndexJob(copy, ColorEncoder(), IndexConfig(workers=1))
    counts = job.run(IndexRequest([str(moved / "pictures")])).counts
    assert (counts.unchanged, counts.embedded, counts.removed) == (6, 0, 0)
    assert examine(copy).findings == []
    copy.close()


def test_a_library_among_the_pictures_is_not_taken_for_pictures(
    library: Library, index, pictures: Path, tmp_path: Path
) -> None:
    assert library.data_dir.parent == pictures.parent == tmp_path
    for _ in range(2):
        report = index(tmp_path)
    assert (report.counts.seen, report.counts.unchanged) == (6, 6)
    inside = shutil.copytree(pictures, library.data_dir / "my pictures")
    assert index(inside.parent).counts.seen == 6  # who keeps both in one folder may
