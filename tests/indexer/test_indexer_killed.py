"""kill -9 at every step of the commit protocol. POLYGLANCE_ALL_KILLS=1 takes each step in turn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from library_contents import check_recovery, contents, run_job

from storage.library import Library

SCRIPT = Path(__file__).with_name("killed_indexer.py")
ROOT = Path(__file__).parents[2]
ALL = bool(os.environ.get("POLYGLANCE_ALL_KILLS"))
PICTURES, STRIDE, FEWEST_KILLS = (38, 1, 200) if ALL else (8, 3, 20)


@pytest.fixture
def some_pictures(tmp_path: Path) -> Path:
    for mark in range(PICTURES):
        draw_picture(tmp_path / "pictures" / f"{mark:02d}.png", (200, 5 * mark, 0), mark)
    draw_picture(tmp_path / "pictures" / "copy of 3.png", (200, 15, 0), 3)
    return tmp_path / "pictures"


def test_killed_at_any_step_the_library_opens_and_the_job_goes_on(
    some_pictures: Path, tmp_path: Path
) -> None:
    undisturbed = Library.open(tmp_path / "undisturbed", create=True)
    run_job(undisturbed, some_pictures)
    expected = contents(undisturbed)
    assert len(expected) == PICTURES

    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "OMP_NUM_THREADS": "1",
    }
    libraries = tmp_path / "killed"
    libraries.mkdir()
    arguments = [str(some_pictures), str(libraries), "1", str(STRIDE), "1000"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = int(done.stdout)
    assert kills >= FEWEST_KILLS

    survived = []
    for folder in sorted(libraries.iterdir())[:kills]:
        survived.append(check_recovery(folder, some_pictures, expected))
    # The kills were spread over the whole job, from before its first commit to after its last.
    assert survived == sorted(survived)
    assert set(survived) == set(range(0, PICTURES + 1, 2))
    print(f"{kills} kills survived")
