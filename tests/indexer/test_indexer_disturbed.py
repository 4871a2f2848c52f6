"""Files, folders, clocks and other indexers that do not keep still while a job runs."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture
from library_contents import contents
from sqlalchemy import select

import storage.jobs
import storage.writer
from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest, JobReport
from storage.catalog.schema import Image, Location
from storage.errors import LibraryBusy
from storage.jobs import get_job, list_failures
from storage.library import Library
from storage.upkeep.doctor import examine

SMALL = IndexConfig(workers=1, batch_size=2, commit_images=2)


class Disturbing(ColorEncoder):
    """Does something, once, when the first batch is embedded: in the middle of the job."""

    def __init__(self, disturb: Callable[[], object]) -> None:
        super().__init__()
        self._disturb = [disturb]

    def encode_preprocessed(self, batch):
        while self._disturb:
            self._disturb.pop()()
        return super().encode_preprocessed(batch)


def run_job(library: Library, encoder: ColorEncoder, folder: Path, **request) -> JobReport:
    return IndexJob(library, encoder, SMALL).run(IndexRequest([str(folder)], **request))


def shown(library: Library) -> set[str]:
    query = select(Location.path).join(Image, Image.id == Location.image_id)
    with library.engine.connect() as connection:
        return set(connection.execute(query.where(Image.deleted_at.is_(None))).scalars())


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Forty pictures in four folders."""
    for mark in range(40):
        path = tmp_path / "disk" / f"folder {mark % 4}" / f"{mark:02d}.png"
        draw_picture(path, (6 * mark, 0, 90), mark)
    return tmp_path / "disk"


@contextmanager
def going_on(change: Callable[[], object]) -> Iterator[None]:
    """`change` happens again and again."""
    stop = threading.Event()

    def again_and_again() -> None:
        while not stop.is_set():
            change()

    thread = threading.Thread(target=again_and_again)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def large_file(path: Path) -> Path:
    """Of 200 MB, so that reading it takes a while; without any on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(200_000_000)
    return path


@pytest.mark.parametrize("how", ["grows", "is touched"])
def test_a_file_that_changes_while_it_is_read_is_read_again_next_time(
    library: Library, tmp_path: Path, how: str
) -> None:
    path = large_file(tmp_path / "disk" / "large.png")

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with going_on(grow if how == "grows" else path.touch):
        report = run_job(library, ColorEncoder(), path.parent)
    assert report.counts.failed == 1
    [failure] = list_failures(library.engine)
    assert failure.kind == "changed_while_read"
    draw_picture(path)
    assert run_job(library, ColorEncoder(), path.parent).counts.embedded == 1
    assert list_failures(library.engine) == []


def test_an_empty_folder_may_be_an_unplugged_disk_and_is_not_pruned(
    library: Library, many: Path
) -> None:
    run_job(library, ColorEncoder(), many)
    before = shown(library)
    many.rename(many.with_name("elsewhere"))
    many.mkdir()
    report = run_job(library, ColorEncoder(), many, prune=True)
    assert (report.pruned, report.kept_back) == (False, (many,))
    assert shown(library) == before
    (many / "notes.txt").write_text("here it is again, with all pictures gone")
    report = run_job(library, ColorEncoder(), many, prune=True)
    assert (report.pruned, report.kept_back) == (True, ())
    assert shown(library) == set()


def test_files_that_vanish_while_a_job_runs_cost_nothing_else(library: Library, many: Path) -> None:
    def delete_some() -> None:
        for path in many.glob("*/*[13579].png"):
            path.unlink()

    report = run_job(library, Disturbing(delete_some), many)
    assert report.status == "done"
    even = {f"folder {mark % 4}/{mark:02d}.png" for mark in range(0, 40, 2)}
    assert even <= shown(library)
    assert {failure.kind for failure in list_failures(library.engine)} <= {"out_of_reach"}
    after = run_job(library, ColorEncoder(), many, prune=True)
    assert shown(library) == even
    assert (after.counts.seen, after.counts.embedded) == (20, 0)
    assert list_failures(library.engine) == []


def test_a_folder_that_is_unplugged_while_a_job_runs_loses_nothing_and_goes_on_later(
    library: Library, many: Path
) -> None:
    unplugged = many.with_name("unplugged")
    first = run_job(library, Disturbing(lambda: many.rename(unplugged)), many, prune=True)
    assert 0 < first.counts.embedded < 40
    reasons = {failure.kind for failure in list_failures(library.engine, first.job)}
    assert reasons == {"out_of_reach"}
    unplugged.rename(many)
    rest = run_job(library, ColorEncoder(), many, prune=True)
    assert (rest.counts.seen, rest.counts.failed) == (40, 0)
    assert rest.counts.embedded == 40 - first.counts.embedded
    assert len(shown(library)) == 40
    assert list_failures(library.engine) == []


def test_a_known_folder_that_is_unplugged_during_the_walk_is_not_forgotten(
    library: Library, many: Path
) -> None:
    run_job(library, ColorEncoder(), many)
    draw_picture(many / "a new one.png", (1, 2, 3))
    draw_picture(many / "another.png", (3, 2, 1))
    unplugged = many.with_name("unplugged")
    report = run_job(library, Disturbing(lambda: many.rename(unplugged)), many, prune=True)
    assert report.counts.removed == 0
    assert len(shown(library)) == 42
    unplugged.rename(many)
    again = run_job(library, ColorEncoder(), many, prune=True)
    assert (again.counts.unchanged, again.counts.removed) == (42, 0)


def test_a_second_indexer_is_told_who_is_at_work_and_since_when(
    library: Library, many: Path
) -> None:
    told: list[str] = []

    def start_another() -> None:
        beside = Library.open(library.data_dir)
        with pytest.raises(LibraryBusy) as busy:
            run_job(beside, ColorEncoder(), many)
        told.append(str(busy.value))
        beside.close()

    before = datetime.now(UTC).replace(microsecond=0)
    report = run_job(library, Disturbing(start_another), many)
    assert report.counts.embedded == 40  # the first one is not disturbed
    [words] = told
    assert f"polyglance index, pid {os.getpid()}" in words
    since = datetime.fromisoformat(words.partition("since ")[2].partition(")")[0])
    assert before <= since <= datetime.now(UTC)


def clock_at(moment: datetime) -> type[datetime]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment

    return Clock


def test_a_clock_that_is_set_back_loses_nothing_and_gives_no_id_twice(
    library: Library, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_clock(moment: datetime) -> None:
        for module in (storage.jobs, storage.writer):
            monkeypatch.setattr(module, "datetime", clock_at(moment))

    today = datetime.now(UTC)
    set_clock(today)
    encoder = Disturbing(lambda: set_clock(today - timedelta(days=9000)))
    first = run_job(library, encoder, many)
    before = contents(library)
    draw_picture(many / "of the past.png", (9, 99, 9))
    os.utime(many / "of the past.png", (-3e9, -3e9))
    draw_picture(many / "of the future.png", (99, 9, 9))
    os.utime(many / "of the future.png", (6e9, 6e9))
    second = run_job(library, ColorEncoder(), many)
    assert (first.counts.embedded, second.counts.embedded) == (40, 2)
    assert before.items() <= contents(library).items()
    with library.engine.connect() as connection:
        ids = list(connection.execute(select(Image.id)).scalars())
    assert len(set(ids)) == 42
    for job_id in (first.job, second.job):
        job = get_job(library.engine, job_id)
        assert job.started_at <= job.updated_at <= job.finished_at
    assert run_job(library, ColorEncoder(), many).counts.unchanged == 42
    assert examine(library).is_clean
