"""Batches of files, against the same files committed one by one."""

import random
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from sqlalchemy import text

from storage.files import register_root
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FailedFile, FileStat, IndexedFile, NewImage, PictureText
from storage.words.word_rows import count_stale_words

FOLDERS = ("photos", "more photos")
NAMES = ("a.jpg", "b.jpg", "2024/IMG_1.jpg", "nicht\udcffutf8.jpg", "\U0010ff41.jpg")
COLORS = tuple("rgbyk")


def image(color: str, **facts: object) -> NewImage:
    return NewImage(color.encode() * 32, 8, 8, "png", 100, "#000000", **facts)


class Books:
    """A library whose rows are put by hand."""

    def __init__(self, data_dir: Path, folder: Path) -> None:
        self.library = Library.open(data_dir, create=True)
        self.roots = [register_root(self.library.engine, folder / each, None) for each in FOLDERS]

    def commit(self, *batches: Batch) -> None:
        with self.library.writer("test", ColorEncoder().space) as writer:
            job_id = start_job(self.library.engine, "index", "test", [])
            for batch in batches:
                writer.commit(batch, job_id, {})

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self.library.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def contents(self) -> dict[str, list[tuple[object, ...]]]:
        """All that does not depend on which row got which number."""
        return {
            "files": self.rows(
                "SELECT root_id, path, hex(sha256), collection_id, location.size_bytes, mtime_ns, "
                "sidecar_mtime_ns FROM location JOIN image ON image.id = image_id ORDER BY 1, 2"
            ),
            "texts": self.rows(
                "SELECT hex(sha256), root_id, path, kind, text FROM image_text "
                "JOIN image ON image.id = image_text.image_id LEFT JOIN location "
                "ON source = 'sidecar:' || location.id ORDER BY 1, 2, 3, 4, 5"
            ),
            "failures": self.rows("SELECT root_id, path, reason FROM failure ORDER BY 1, 2"),
            "deleted": self.rows(
                "SELECT hex(sha256) FROM image WHERE deleted_at IS NOT NULL ORDER BY 1"
            ),
        }


@pytest.fixture
def books(tmp_path: Path):
    """books(name) opens one more library over the same folders."""
    opened: list[Books] = []

    def open_one(name: str) -> Books:
        opened.append(Books(tmp_path / name, tmp_path))
        return opened[-1]

    yield open_one
    for each in opened:
        each.library.close()


def first_files(books: Books, draw: random.Random) -> Batch:
    batch = Batch(images={image(each).sha256: image(each) for each in COLORS})
    for root in books.roots:
        for name in NAMES[:3]:
            stat = FileStat(root.id, name, 1, 1)
            words = (PictureText("caption", f"before {name}", "sidecar"),)
            sha256 = draw.choice(COLORS).encode() * 32
            batch.files.append(IndexedFile(stat, root.collection_id, sha256, texts=words))
        stat = FileStat(root.id, NAMES[3], 1, 1)
        batch.failures.append(FailedFile(stat, "unreadable", "was broken", content_is_bad=True))
    return batch


def any_files(books: Books, draw: random.Random, count: int) -> list[IndexedFile]:
    """Few places and pictures for many files, so that they get in each other's way."""
    files = []
    for number in range(2, 2 + count):
        root = draw.choice(books.roots)
        stat = FileStat(root.id, draw.choice(NAMES), number, number, draw.choice([None, number]))
        words = [PictureText("caption", f"now {number} {part}", "sidecar") for part in "ab"]
        files.append(
            IndexedFile(
                stat,
                root.collection_id,
                draw.choice(COLORS).encode() * 32,
                moved_from=draw.choice([None, None, 1, 2, 3, 4, 5, 6, 99]),
                texts=tuple(words[: draw.choice([0, 0, 1, 2])]),
            )
        )
    return files


@pytest.mark.parametrize("seed", range(8))
def test_a_batch_leaves_what_its_files_one_by_one_leave(books, seed: int) -> None:
    together, one_by_one = books("together"), books("one by one")
    for each in (together, one_by_one):
        each.commit(first_files(each, random.Random(seed)))
    assert together.contents() == one_by_one.contents()
    files = any_files(together, random.Random(seed), count=10)
    together.commit(Batch(files=files))
    one_by_one.commit(*(Batch(files=[file]) for file in files))
    assert together.contents() == one_by_one.contents()
    assert count_stale_words(together.library.engine) == 0
    indexed = {(row[0], row[1]) for row in together.contents()["files"]}
    assert not indexed & {(row[0], row[1]) for row in together.contents()["failures"]}


def test_a_moved_file_keeps_its_row_and_leaves_its_old_place(books) -> None:
    library = books("library")
    root = library.roots[0]
    red = image("r")
    old = [FileStat(root.id, name, 1, 1) for name in NAMES[:2]]
    new = [FileStat(root.id, f"moved/{name}", 1, 1) for name in NAMES[:2]]
    files = [IndexedFile(stat, root.collection_id, red.sha256) for stat in old]
    library.commit(Batch(images={red.sha256: red}, files=files))
    rows = "SELECT id, path FROM location ORDER BY id"
    ids = [row[0] for row in library.rows(rows)]
    moved = [
        IndexedFile(stat, root.collection_id, red.sha256, moved_from=before)
        for stat, before in zip(new, ids, strict=True)
    ]
    library.commit(Batch(files=moved))
    assert library.rows(rows) == [(ids[0], "moved/a.jpg"), (ids[1], "moved/b.jpg")]


def test_a_batch_larger_than_one_statement_takes_is_put_whole(books) -> None:
    library = books("library")
    root = library.roots[0]
    batch = Batch(images={image("r").sha256: image("r")})
    for number in range(1200):
        stat = FileStat(root.id, f"{number}.jpg", 1, 1)
        words = (PictureText("caption", f"picture {number}", "sidecar"),)
        batch.files.append(IndexedFile(stat, root.collection_id, image("r").sha256, texts=words))
    for _ in range(2):  # new, then known
        library.commit(batch)
        contents = library.contents()
        assert len(contents["files"]) == len(contents["texts"]) == 1200


def test_pictures_read_again_gain_what_the_catalog_lacks_and_lose_nothing(books) -> None:
    library = books("library")
    root = library.roots[0]
    poor, rich = image("r"), image("g", camera="Leica", latitude=1.0)
    stats = [FileStat(root.id, name, 1, 1) for name in NAMES[:2]]
    files = [
        IndexedFile(stat, root.collection_id, each.sha256)
        for stat, each in zip(stats, (poor, rich), strict=True)
    ]
    library.commit(Batch(images={each.sha256: each for each in (poor, rich)}, files=files))
    again = [
        image("r", camera="Zeiss", texts=(PictureText("title", "red", "exif"),)),
        image("g", camera="Canon", lens="50mm"),
    ]
    library.commit(Batch(images={each.sha256: each for each in again}, files=files))
    found = library.rows("SELECT camera, lens, latitude FROM image ORDER BY sha256 DESC")
    assert found == [("Zeiss", None, None), ("Leica", "50mm", 1.0)]
    assert [row[-1] for row in library.contents()["texts"]] == ["red"]
