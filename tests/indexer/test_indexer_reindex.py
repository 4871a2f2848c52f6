"""Moving a library to another model."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture
from library_contents import SMALL_BATCHES
from sqlalchemy import select, update

from encoders import Embeddings, EmbeddingSpace, Preprocessed
from indexer.config import IndexConfig
from indexer.reindex import ReindexJob, ReindexReport
from search.config import SearchConfig
from search.engine import SearchEngine
from search.schemas import SearchRequest
from storage.catalog.schema import Image, Location, Space
from storage.errors import LibraryError
from storage.jobs import get_job
from storage.library import Library
from storage.pictures import list_images
from storage.spaces import activated_spaces, count_missing, reactivate_previous
from storage.upkeep.doctor import examine


class BrightnessEncoder(ColorEncoder):
    """Another model: of other dimensions, and it sees how bright a picture is."""

    def __init__(self) -> None:
        super().__init__()
        self._space = EmbeddingSpace("brightness", None, 3, 1, "1" * 64)
        self.embedded = 0

    def encode_preprocessed(self, batch: list[Preprocessed]) -> Embeddings:
        self.embedded += len(batch)
        bright = np.array([pixels.mean() / 255 for pixels in batch], dtype=np.float32)
        rows = np.stack([bright, 1 - bright, np.full_like(bright, 0.1)], axis=1)
        unit: Embeddings = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


@pytest.fixture
def newer() -> BrightnessEncoder:
    return BrightnessEncoder()


@pytest.fixture
def reindex(library: Library, newer: BrightnessEncoder):
    def run(stop_after: int | None = None, *, switch_anyway: bool = False) -> ReindexReport:
        job = ReindexJob(library, newer, SMALL_BATCHES)
        if stop_after is not None:
            job = ReindexJob(
                library,
                newer,
                SMALL_BATCHES,
                lambda counts: job.stop.set() if counts.seen >= stop_after else None,
            )
        return job.run(switch_anyway=switch_anyway)

    return run


def serving(library: Library) -> str:
    return library.active_space().checkpoint


def test_every_picture_is_embedded_once_and_then_the_new_space_serves(
    library: Library, index, pictures: Path, reindex, newer: BrightnessEncoder
) -> None:
    shutil.copy(pictures / "red.png", pictures / "plants" / "red again.png")
    index(pictures)
    report = reindex()
    assert (report.status, report.embedded, report.missing) == ("done", 6, 0)
    assert (serving(library), newer.embedded) == ("brightness", 6)
    snapshot = library.reader(library.active_space()).current()
    bright = newer.encode_preprocessed([np.full((4, 3), 255.0)])[0]
    nearest = snapshot.nearest(bright, 6).image_ids
    paths = {image.id: image.path for image in list_images(library.engine)}
    assert paths[nearest[0]] == "sky/white cloud.png"
    assert paths[nearest[-1]] == "plants/đêm đen.png"
    assert snapshot.manifest is not None
    assert snapshot.manifest.count == 6
    assert examine(library).findings == []
    job = get_job(library.engine, report.job)
    assert (job.kind, job.status, job.checkpoint) == ("reindex", "done", "brightness")


def test_the_old_space_serves_until_all_is_embedded_and_what_is_done_is_not_done_again(
    library: Library, index, pictures: Path, reindex, newer: BrightnessEncoder
) -> None:
    index(pictures)
    report = reindex(stop_after=2)
    assert report.status == "interrupted"
    done = newer.embedded
    assert 0 < done < 6
    assert serving(library) == "colors"
    assert len(library.reader(library.active_space()).current().image_ids) == 6
    assert examine(library).is_clean
    report = reindex()
    assert (report.status, report.embedded, newer.embedded) == ("done", 6 - done, 6)


def test_pictures_indexed_while_a_reindex_is_half_done_are_taken_along(
    library: Library, index, pictures: Path, reindex
) -> None:
    index(pictures)
    reindex(stop_after=2)
    draw_picture(pictures / "new.png", (90, 10, 120))
    (pictures / "red.png").unlink()
    assert index(pictures, prune=True).counts.embedded == 1
    assert reindex().switched
    assert len(library.reader(library.active_space()).current().image_ids) == 6
    assert count_missing(library.engine, library.active_space().id) == 0
    assert examine(library).is_clean


def test_a_picture_that_would_be_found_no_more_holds_up_the_switch(
    library: Library, index, pictures: Path, reindex
) -> None:
    index(pictures)
    hidden = pictures / "red.png"
    hidden.rename(pictures.parent / "elsewhere.png")
    report = reindex()
    assert (report.status, report.missing) == ("incomplete", 1)
    assert [(each.path, "No such file" in each.reason) for each in report.unread] == [
        (str(hidden), True)
    ]
    assert serving(library) == "colors"
    assert "1 pictures" in get_job(library.engine, report.job).error
    report = reindex(switch_anyway=True)
    assert (report.status, report.embedded, report.missing) == ("done", 0, 1)
    assert serving(library) == "brightness"
    assert {each.kind for each in examine(library).findings} == {"not_embedded"}


def test_a_picture_is_read_from_any_file_that_holds_it(
    library: Library, index, pictures: Path, tmp_path: Path, reindex
) -> None:
    (tmp_path / "disk").mkdir()
    shutil.copy(pictures / "red.png", tmp_path / "disk" / "red.png")
    index(pictures, tmp_path / "disk")
    shutil.rmtree(tmp_path / "disk")
    report = reindex()
    assert (report.status, report.unread) == ("done", [])


def test_a_file_that_holds_another_picture_now_is_not_taken_for_the_old_one(
    library: Library, index, pictures: Path, reindex, encoder: ColorEncoder
) -> None:
    index(pictures)
    draw_picture(pictures / "red.png", (0, 255, 0), mark=5)
    report = reindex()
    assert report.status == "incomplete"
    assert "another picture" in report.unread[0].reason
    assert index(pictures).counts.changed == 1
    assert reindex().switched
    assert len(library.reader(library.active_space()).current().image_ids) == 6


def test_an_undo_needs_no_embedding_and_names_what_came_since(
    library: Library, index, pictures: Path, reindex, newer: BrightnessEncoder
) -> None:
    from indexer.job import IndexJob
    from indexer.report import IndexRequest

    index(pictures)
    reindex()
    draw_picture(pictures / "new.png", (90, 10, 120))
    IndexJob(library, newer, IndexConfig(workers=1)).run(IndexRequest([str(pictures)]))
    assert reactivate_previous(library.engine).checkpoint == "colors"
    assert len(library.reader(library.active_space()).current().image_ids) == 6
    assert count_missing(library.engine, library.active_space().id) == 1
    assert index(pictures).counts.embedded == 1
    assert reindex().embedded == 0
    assert serving(library) == "brightness"
    assert [space.checkpoint for space in activated_spaces(library.engine)] == [
        "brightness",
        "colors",
    ]


def test_facts_that_an_older_version_did_not_read_are_filled_in(
    library: Library, index, pictures: Path, reindex
) -> None:
    draw_picture(pictures / "marked.png", (200, 30, 40), mark=0b1010)
    index(pictures)
    with library.engine.begin() as connection:
        connection.execute(update(Image).values(perceptual_hash=None))
        before = connection.execute(select(Location.path, Location.mtime_ns)).all()
    reindex()
    with library.engine.connect() as connection:
        assert None not in connection.execute(select(Image.perceptual_hash)).scalars().all()
        assert connection.execute(select(Location.path, Location.mtime_ns)).all() == before


def test_an_empty_library_has_nothing_to_reindex(library: Library, reindex) -> None:
    with pytest.raises(LibraryError, match="empty"):
        reindex()


def test_a_running_server_goes_on_with_its_own_model_and_says_so(
    library: Library, index, pictures: Path, reindex, encoder: ColorEncoder
) -> None:
    index(pictures)
    engine = SearchEngine(library, encoder, SearchConfig())
    assert engine.superseded_by() is None
    reindex()
    hits = engine.search(SearchRequest(query="blue", limit=1)).hits
    assert hits[0].image.path == "sky/blue.png"
    assert engine.superseded_by() == "brightness"


def test_killed_at_any_step_a_library_is_of_one_model_or_the_other_and_goes_on(
    library: Library, index, pictures: Path, tmp_path: Path
) -> None:
    index(pictures)
    library.close()
    (tmp_path / "copies").mkdir()
    root = Path(__file__).parents[2]
    paths = [str(root), str(root / "tests"), str(root / "tests" / "indexer")]
    stride = "1" if os.environ.get("POLYGLANCE_ALL_KILLS") else "4"
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("killed_reindexer.py")),
            *map(str, (library.data_dir, tmp_path / "copies", 1, stride, 400)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = int(done.stdout)
    assert kills >= 8
    newer = ColorEncoder("newer colors", version=2)
    for copy in sorted((tmp_path / "copies").iterdir())[:kills]:
        killed = Library.open(copy)
        assert examine(killed).is_clean, copy.name
        assert len(killed.reader(killed.active_space()).current().image_ids) == 6
        with killed.engine.connect() as connection:
            made = connection.execute(
                select(Space.id).where(Space.fingerprint == newer.space.fingerprint)
            ).scalar()
        left = count_missing(killed.engine, -1 if made is None else made)
        report = ReindexJob(killed, newer, SMALL_BATCHES).run()
        assert (report.status, report.embedded) == ("done", left), copy.name
        assert serving(killed) == "newer colors"
        assert len(killed.reader(killed.active_space()).current().image_ids) == 6
        assert examine(killed).findings == [], copy.name
        killed.close()
