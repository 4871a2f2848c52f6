"""Watching folders: each test changes them and waits for the catalog to follow."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture

from indexer import changes, watch
from indexer.config import IndexConfig
from indexer.errors import SourceError
from indexer.watch import Watcher, WatchRequest
from storage.jobs import list_jobs
from storage.library import Library
from storage.lock import writer_lock
from storage.pictures import list_images

DEADLINE_S = 20.0


class Watching:
    """A watcher at work in a thread, and what it said."""

    def __init__(self, library: Library, request: WatchRequest) -> None:
        self.said: list[str] = []
        config = IndexConfig(workers=1)
        self.watcher = Watcher(library, ColorEncoder(), config, request, self.said.append)
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.watcher.run()
        except BaseException as error:  # noqa: BLE001  (the test's own thread raises it)
            self._errors.append(error)

    def end(self) -> None:
        self.watcher.stop()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        assert self._errors == []


@pytest.fixture
def watching(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Watching]]:
    """watching(folder, …) watches it until the end of the test."""
    monkeypatch.setattr(changes, "SETTLE_S", 0.1)
    monkeypatch.setattr(watch, "PRESENCE_S", 0.1)
    monkeypatch.setattr(watch, "BUSY_S", 0.1)
    begun = []

    def begin(*sources: Path, **options: object) -> Watching:
        request = WatchRequest([str(source) for source in sources], **options)
        begun.append(Watching(library, request))
        return begun[-1]

    yield begin
    for each in begun:
        each.end()


def shown(library: Library) -> list[str]:
    return sorted(image.path for image in list_images(library.engine))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def wait_until_shown(library: Library, *paths: str) -> None:
    wait_for(lambda: shown(library) == sorted(paths))


SIX = (
    "plants/green.png",
    "plants/yellow.png",
    "plants/đêm đen.png",
    "red.png",
    "sky/blue.png",
    "sky/white cloud.png",
)


def test_what_is_there_at_the_start_and_what_comes_later_is_indexed(
    library: Library, pictures: Path, watching
) -> None:
    watching(pictures)
    wait_until_shown(library, *SIX)
    draw_picture(pictures / "sky" / "violet.png", (120, 0, 160))
    wait_until_shown(library, *SIX, "sky/violet.png")
    job = list_jobs(library.engine)[0]
    assert job.counts["seen"] == 1  # the new one, and no other was looked at
    draw_picture(pictures / "new" / "deep" / "orange.png", (250, 140, 0))
    wait_until_shown(library, *SIX, "sky/violet.png", "new/deep/orange.png")


def test_renamed_moved_and_changed_files_are_followed(
    library: Library, pictures: Path, watching
) -> None:
    watching(pictures)
    wait_until_shown(library, *SIX)
    embedded = sum(job.counts["embedded"] for job in list_jobs(library.engine))
    assert embedded == 6
    (pictures / "red.png").rename(pictures / "sky" / "a red one.png")
    rest = [path for path in SIX if path != "red.png"]
    wait_until_shown(library, *rest, "sky/a red one.png")
    (pictures / "plants").rename(pictures / "garden")
    rest = [path.replace("plants", "garden") for path in rest]
    wait_until_shown(library, *rest, "sky/a red one.png")
    ids = {image.path: image.id for image in list_images(library.engine)}
    assert sum(job.counts["embedded"] for job in list_jobs(library.engine)) == 6
    draw_picture(pictures / "garden" / "green.png", (0, 160, 0), mark=3)
    wait_for(
        lambda: (
            {i.path: i.id for i in list_images(library.engine)}["garden/green.png"]
            != ids["garden/green.png"]
        )
    )


def test_deleted_files_are_forgotten_with_prune_only(
    library: Library, pictures: Path, watching
) -> None:
    plain = watching(pictures)
    wait_until_shown(library, *SIX)
    (pictures / "red.png").unlink()
    draw_picture(pictures / "violet.png", (120, 0, 160))
    wait_until_shown(library, *SIX, "violet.png")
    plain.end()
    watching(pictures, prune=True)
    wait_until_shown(library, *SIX[:3], *SIX[4:], "violet.png")
    shutil.rmtree(pictures / "plants")
    wait_until_shown(library, *SIX[4:], "violet.png")


def test_what_is_no_picture_or_is_excluded_starts_no_job(
    library: Library, pictures: Path, watching
) -> None:
    watching(pictures)
    wait_until_shown(library, *SIX)
    (pictures / "notes.log").write_text("nothing to see")
    draw_picture(pictures / ".hidden" / "a.png")
    draw_picture(pictures / "sky" / "@eaDir" / "a.png")
    draw_picture(pictures / "end.png", (120, 0, 160))
    wait_until_shown(library, *SIX, "end.png")
    assert [job.counts["seen"] for job in list_jobs(library.engine)] == [1, 6]


def test_a_library_within_the_source_does_not_keep_itself_busy(
    library: Library, tmp_path: Path, pictures: Path, watching
) -> None:
    watching(tmp_path)
    wait_for(lambda: set(shown(library)) >= {f"pictures/{path}" for path in SIX})
    time.sleep(0.5)
    assert len(list_jobs(library.engine)) == 1
    assert shown(library) == sorted(f"pictures/{path}" for path in SIX)


def test_another_writer_is_waited_for(library: Library, pictures: Path, watching) -> None:
    with writer_lock(library.data_dir, "test"):
        begun = watching(pictures)
        wait_for(lambda: any("polyglance test" in words for words in begun.said))
        time.sleep(0.4)
        assert shown(library) == []
    wait_until_shown(library, *SIX)
    assert sum("is writing" in words for words in begun.said) == 1


def test_a_source_that_goes_and_comes_back_loses_nothing(
    library: Library, pictures: Path, watching
) -> None:
    begun = watching(pictures, prune=True)
    wait_until_shown(library, *SIX)
    pictures.rename(pictures.parent / "unplugged")
    wait_for(lambda: any("is gone" in words for words in begun.said))
    pictures.mkdir()  # what a mount point is without its disk
    wait_for(lambda: any("is back" in words for words in begun.said))
    time.sleep(0.4)
    assert shown(library) == sorted(SIX)
    pictures.rmdir()
    draw_picture(pictures.parent / "unplugged" / "violet.png", (120, 0, 160))
    (pictures.parent / "unplugged").rename(pictures)
    wait_until_shown(library, *SIX, "violet.png")


def test_changes_that_the_system_lost_are_found_by_looking_at_everything(
    library: Library, pictures: Path, tmp_path: Path, watching
) -> None:
    inotify = pytest.importorskip("watchdog.observers.inotify_c")
    elsewhere = draw_picture(tmp_path / "elsewhere" / "a.png", (1, 2, 3)).parent
    (pictures / "link").symlink_to(elsewhere)  # whose changes nobody tells
    watching(pictures)
    wait_until_shown(library, *SIX, "link/a.png")
    draw_picture(elsewhere / "b.png", (120, 0, 160))
    overflow = inotify.InotifyEvent(-1, inotify.InotifyConstants.IN_Q_OVERFLOW, 0, b"")
    inotify.InotifyFD.get_instance().handle_event(overflow)
    wait_until_shown(library, *SIX, "link/a.png", "link/b.png")


def test_words_beside_a_picture_bring_it_up_again(
    library: Library, pictures: Path, watching
) -> None:
    watching(pictures)
    wait_until_shown(library, *SIX)
    (pictures / "red.txt").write_text("a red wall")
    wait_for(lambda: len(list_jobs(library.engine)) == 2)
    wait_for(lambda: list_jobs(library.engine)[0].status == "done")
    assert list_jobs(library.engine)[0].counts["seen"] == 1


def test_polling_finds_changes_and_records_no_job_for_nothing(
    library: Library, pictures: Path, watching
) -> None:
    watching(pictures, poll_seconds=0.1, prune=True)
    wait_until_shown(library, *SIX)
    time.sleep(0.5)
    assert len(list_jobs(library.engine)) == 1
    draw_picture(pictures / "violet.png", (120, 0, 160))
    wait_until_shown(library, *SIX, "violet.png")
    (pictures / "violet.png").unlink()
    wait_until_shown(library, *SIX)


def test_a_source_that_is_not_there_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        Watcher(
            library, ColorEncoder(), IndexConfig(), WatchRequest([str(tmp_path / "nowhere")]), print
        )
