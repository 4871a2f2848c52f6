import os
import shutil
import threading
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture

from imaging import DecodeLimits
from indexer.config import IndexConfig
from indexer.errors import SourceError
from indexer.job import IndexJob
from indexer.preview import preview
from indexer.report import Counts, IndexRequest
from storage.files import list_roots, locations_of
from storage.jobs import get_job, list_failures
from storage.library import Library
from storage.pictures import count_by_collection, count_images, list_images


def paths(library: Library) -> list[str]:
    return sorted(
        location.path
        for image in list_images(library.engine)
        for _, location in locations_of(library.engine, image.id)
    )


def searchable(library: Library) -> int:
    return len(library.reader(library.active_space()).current().image_ids)


def test_every_picture_of_a_folder_is_indexed(index, pictures: Path, library: Library) -> None:
    report = index(pictures)
    assert report.counts == Counts(seen=6, new=6, embedded=6)
    assert paths(library) == [
        "plants/green.png",
        "plants/yellow.png",
        "plants/đêm đen.png",
        "red.png",
        "sky/blue.png",
        "sky/white cloud.png",
    ]
    assert searchable(library) == 6
    assert count_by_collection(library.engine) == {"pictures": 6}


def test_a_second_run_embeds_nothing(index, pictures: Path) -> None:
    index(pictures)
    assert index(pictures).counts == Counts(seen=6, unchanged=6)


def test_only_what_is_new_or_changed_is_embedded(index, pictures: Path, library: Library) -> None:
    index(pictures)
    draw_picture(pictures / "new.png", (0, 0, 255), mark=1)
    draw_picture(pictures / "red.png", (255, 220, 0), mark=1)
    report = index(pictures)
    assert report.counts == Counts(seen=7, new=1, changed=1, unchanged=5, embedded=2)
    assert searchable(library) == 7  # the old content of red.png is in no file any more


def test_a_file_that_was_merely_touched_is_unchanged(index, pictures: Path) -> None:
    index(pictures)
    os.utime(pictures / "red.png", (1, 1))
    assert index(pictures).counts == Counts(seen=6, unchanged=6)


def test_moved_renamed_and_copied_files_are_recognised(
    index, pictures: Path, library: Library
) -> None:
    index(pictures)
    ids = {image.path: image.id for image in list_images(library.engine)}
    (pictures / "red.png").rename(pictures / "zinnober.png")
    (pictures / "sky").rename(pictures / "above")
    shutil.copy(pictures / "plants" / "green.png", pictures / "plants" / "also green.png")
    report = index(pictures)
    assert report.counts == Counts(seen=7, moved=3, new=1, unchanged=3)
    assert report.counts.embedded == 0
    now = {image.path: image.id for image in list_images(library.engine)}
    assert now["zinnober.png"] == ids["red.png"]
    assert now["above/blue.png"] == ids["sky/blue.png"]
    assert count_images(library.engine) == 6


def test_a_file_that_is_gone_is_only_forgotten_when_asked(
    index, pictures: Path, library: Library
) -> None:
    index(pictures)
    (pictures / "red.png").unlink()
    assert index(pictures).counts.removed == 1
    assert searchable(library) == 6
    assert index(pictures, prune=True).counts.removed == 1
    assert searchable(library) == 5
    assert index(pictures, prune=True).counts.removed == 0


def test_what_is_pruned_and_comes_back_is_found_again(
    index, pictures: Path, library: Library
) -> None:
    index(pictures)
    (pictures / "red.png").rename(pictures.parent / "kept.png")
    index(pictures, prune=True)
    (pictures.parent / "kept.png").rename(pictures / "red.png")
    assert index(pictures).counts == Counts(seen=6, new=1, unchanged=5)
    assert searchable(library) == 6


BROKEN = {
    "text.jpg": b"This is only text.",
    "empty.png": b"",
    "truncated.jpg": None,
}


def test_broken_files_are_counted_named_and_stop_nothing(
    index, pictures: Path, library: Library
) -> None:
    whole = draw_picture(pictures.parent / "whole.jpg").read_bytes()
    for name, content in BROKEN.items():
        (pictures / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    report = index(pictures)
    assert report.counts == Counts(seen=9, new=6, failed=3, embedded=6)
    failures = {each.path: each for each in list_failures(library.engine, report.job)}
    assert set(failures) == set(BROKEN)
    assert failures["empty.png"].kind == "empty"
    assert "text" in failures["text.jpg"].reason
    assert failures["truncated.jpg"].kind == "truncated"
    assert get_job(library.engine, report.job).status == "done"


def test_a_broken_file_is_tried_again_when_asked_or_when_it_changes(
    index, pictures: Path, library: Library
) -> None:
    broken = pictures / "broken.png"
    broken.write_bytes(b"nothing")
    index(pictures)
    assert index(pictures).counts == Counts(seen=7, unchanged=6, failed=1)
    assert index(pictures, retry_failed=True).counts.failed == 1
    draw_picture(broken, (9, 9, 9))
    assert index(pictures).counts == Counts(seen=7, changed=0, new=1, unchanged=6, embedded=1)
    assert list_failures(library.engine) == []


def test_a_picture_that_was_overwritten_with_rubbish_is_no_longer_found(
    index, pictures: Path, library: Library
) -> None:
    index(pictures)
    (pictures / "red.png").write_bytes(b"rubbish")
    assert index(pictures).counts.failed == 1
    assert searchable(library) == 5


def test_a_failure_is_forgotten_with_its_file(index, pictures: Path, library: Library) -> None:
    (pictures / "broken.png").write_bytes(b"nothing")
    index(pictures)
    (pictures / "broken.png").unlink()
    index(pictures)
    assert list_failures(library.engine) == []


def test_pictures_are_known_by_content_not_by_name(index, pictures: Path) -> None:
    (pictures / "red.png").rename(pictures / "red")
    (pictures / "notes.txt").write_text("not a picture, and does not claim to be one")
    report = index(pictures)
    assert report.counts == Counts(seen=6, new=6, embedded=6)


def test_hidden_and_generated_folders_are_passed_over(index, pictures: Path) -> None:
    for folder in (".thumbnails", "@eaDir", "node_modules"):
        draw_picture(pictures / folder / "x.png", (1, 2, 3))
    draw_picture(pictures / ".hidden.png", (1, 2, 3))
    assert index(pictures).counts.seen == 6


def test_a_circle_of_links_ends(index, pictures: Path) -> None:
    (pictures / "sky" / "up").symlink_to(pictures)
    (pictures / "dangling.png").symlink_to(pictures / "nowhere.png")
    os.mkfifo(pictures / "pipe.png")
    assert index(pictures).counts.seen == 6


def test_names_that_are_no_utf8_are_indexed(index, pictures: Path, library: Library) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.png")
    draw_picture(pictures / "plain.png", (7, 7, 7)).rename(pictures / name)
    assert index(pictures).counts.new == 7
    assert name in paths(library)
    assert index(pictures).counts == Counts(seen=7, unchanged=7)


def test_a_folder_whose_name_is_no_utf8_gives_its_collection_a_readable_one(
    index, pictures: Path, library: Library
) -> None:
    odd = pictures.rename(pictures.parent / os.fsdecode(b"holiday \xff"))
    assert index(odd).counts.new == 6
    assert count_by_collection(library.engine) == {"holiday \ufffd": 6}
    assert index(odd).counts == Counts(seen=6, unchanged=6)


def test_one_file_can_be_indexed_alone(index, pictures: Path, library: Library) -> None:
    assert index(pictures / "red.png").counts == Counts(seen=1, new=1, embedded=1)
    report = index(pictures)
    assert report.counts == Counts(seen=6, new=5, unchanged=1, embedded=5)
    assert [root.path for root in list_roots(library.engine)] == [pictures]


def test_a_folder_above_a_known_one_takes_it_in(index, pictures: Path, library: Library) -> None:
    index(pictures / "plants")
    assert index(pictures).counts == Counts(seen=6, new=3, unchanged=3, embedded=3)
    assert [root.path for root in list_roots(library.engine)] == [pictures]
    assert index(pictures / "sky").counts == Counts(seen=2, unchanged=2)


def test_collections_are_named_and_changed(index, pictures: Path, library: Library) -> None:
    index(pictures / "plants", collection="garden")
    index(pictures / "sky", collection="weather")
    assert count_by_collection(library.engine) == {"garden": 3, "weather": 2}
    index(pictures / "sky", collection="garden")
    assert count_by_collection(library.engine) == {"garden": 5}


@pytest.mark.parametrize("what", ["missing", "fifo"])
def test_a_source_that_cannot_be_indexed_is_named(index, tmp_path: Path, what: str) -> None:
    source = tmp_path / what
    if what == "fifo":
        os.mkfifo(source)
    with pytest.raises(SourceError, match=str(source)):
        index(source)


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(
    index, pictures: Path, library: Library
) -> None:
    config = IndexConfig(limits=DecodeLimits(max_pixels=3000))
    report = index(pictures, config=config)
    assert report.counts.failed == 6
    assert {each.kind for each in list_failures(library.engine)} == {"too_many_pixels"}


def test_copies_read_side_by_side_are_embedded_once(index, pictures: Path) -> None:
    for number in range(30):
        shutil.copy(pictures / "red.png", pictures / f"red {number}.png")
    report = index(pictures, config=IndexConfig(workers=2, batch_size=2, commit_images=2))
    assert report.counts.embedded == 6
    assert report.counts.new + report.counts.moved == 36


class StopsAfter:
    """Sets the job's stop flag once so many pictures were embedded, as Ctrl-C would."""

    def __init__(self, embedded: int) -> None:
        self.embedded = embedded
        self.stop: threading.Event | None = None

    def __call__(self, counts: Counts) -> None:
        if counts.embedded >= self.embedded:
            self.stop.set()


def test_an_interrupted_job_keeps_what_it_did_and_can_go_on(
    library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    for mark in range(40):
        draw_picture(folder / f"{mark:02d}.png", (5 * mark, 0, 0), mark)
    interrupt = StopsAfter(8)
    config = IndexConfig(workers=1, batch_size=4, commit_images=4)
    job = IndexJob(library, ColorEncoder(), config, interrupt)
    interrupt.stop = job.stop
    report = job.run(IndexRequest([str(folder)]))
    assert report.status == "interrupted"
    assert 8 <= report.counts.embedded < 40
    assert searchable(library) == report.counts.embedded == report.counts.seen
    rest = IndexJob(library, ColorEncoder(), config).run(IndexRequest([str(folder)]))
    assert rest.counts.embedded == 40 - report.counts.embedded
    assert searchable(library) == 40


def test_an_encoder_that_fails_ends_the_job_as_failed_and_keeps_what_was_committed(
    library: Library, pictures: Path
) -> None:
    class Failing(ColorEncoder):
        batches = 0

        def encode_preprocessed(self, batch):
            self.batches += 1
            if self.batches > 2:
                raise RuntimeError("out of memory")
            return super().encode_preprocessed(batch)

    config = IndexConfig(workers=1, batch_size=2, commit_images=2)
    with pytest.raises(RuntimeError, match="out of memory"):
        IndexJob(library, Failing(), config).run(IndexRequest([str(pictures)]))
    record = get_job(library.engine, 1)
    assert (record.status, record.error) == ("failed", "out of memory")
    assert searchable(library) == 4


def test_a_preview_says_what_a_job_would_do_and_writes_nothing(
    index, library: Library, pictures: Path
) -> None:
    assert preview(None, [str(pictures)], IndexConfig()) == Counts(seen=6, new=6)
    index(pictures)
    draw_picture(pictures / "red.png", (1, 1, 1))
    (pictures / "sky" / "blue.png").unlink()
    before = (library.data_dir / "catalog.db").read_bytes()
    expected = Counts(seen=5, changed=1, unchanged=4, removed=1)
    assert preview(library, [str(pictures)], IndexConfig()) == expected
    assert (library.data_dir / "catalog.db").read_bytes() == before


def test_nothing_is_written_into_the_picture_folder(index, pictures: Path) -> None:
    def listing() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in pictures.rglob("*"))

    before = listing()
    index(pictures)
    assert listing() == before
