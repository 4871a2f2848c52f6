import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawn_pictures import draw_picture

from storage.library import Library
from storage.pictures import list_images

DEADLINE_S = 60.0

# The real command line, but for the model: importing torch would take most of the test's time.
SCRIPT = """
from color_encoder import ColorEncoder
from cli.app import App
from cli.main import main
App.load_encoder = lambda app, checkpoint, golden_home: ColorEncoder(checkpoint)
main()
"""


@pytest.fixture
def begin():
    """begin(data_dir, SOURCE, …) runs `polyglance watch` as a process of its own."""
    begun = []
    root = Path(__file__).parents[2]

    def run(data_dir: Path, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                SCRIPT,
                *map(str, ("--data-dir", data_dir, "watch", *arguments)),
            ],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")]),
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield run
    for process in begun:
        if process.poll() is None:
            process.kill()
            process.communicate()


def wait_for_pictures(
    data_dir: Path, count: int, process: subprocess.Popen[str], *, among: str = ""
) -> None:
    """Until so many are shown, `among` one of them."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        if (data_dir / "catalog.db").exists():
            library = Library.open(data_dir)
            paths = [image.path for image in list_images(library.engine)]
            library.close()
            if len(paths) == count and (not among or among in paths):
                return
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def end(process: subprocess.Popen[str], number: int) -> str:
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    return out


def test_watch_follows_a_folder_ends_when_told_and_catches_up(
    begin, pictures: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "library"
    first = begin(data_dir, pictures)
    wait_for_pictures(data_dir, 6, first)
    draw_picture(pictures / "new" / "violet.png", (120, 0, 160))
    wait_for_pictures(data_dir, 7, first)
    said = end(first, signal.SIGTERM)
    assert "6 new; 6 embedded" in said
    assert "1 new; 1 embedded" in said
    assert said.endswith("Stopped.\n")

    draw_picture(pictures / "while nobody watched.png", (1, 90, 70))
    (pictures / "red.png").unlink()
    again = begin(data_dir, pictures, "--prune")
    wait_for_pictures(data_dir, 7, again, among="while nobody watched.png")
    draw_picture(pictures / "at last.png", (70, 90, 1))
    wait_for_pictures(data_dir, 8, again)
    assert "1 new, 1 forgotten; 1 embedded" in end(again, signal.SIGINT)


def test_watch_of_nothing_is_refused(polyglance) -> None:
    assert polyglance("watch").status == 2
    ran = polyglance("watch", "nowhere")
    assert ran.status == 1
    assert "nowhere: there is no such file or folder" in ran.err
