"""SIGTERM and a terminal's Ctrl-C at the real command line: the batch is finished and kept."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from drawn_pictures import draw_picture

from storage.jobs import list_jobs
from storage.library import Library
from storage.upkeep.doctor import examine

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

ROOT = Path(__file__).parents[2]
HEED_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def start(library: Path, folder: Path) -> subprocess.Popen:
    """In a process group of its own, as a shell starts a command in a terminal."""
    arguments = ["--data-dir", library, "index", folder, "--model", "starter", "--batch-size", "2"]
    return subprocess.Popen(
        [
            *(sys.executable, "-c", f"{HEED_SIGINT}; from cli.main import main; main()"),
            *map(str, arguments),
            "--json",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "POLYGLANCE_INDEX_COMMIT_IMAGES": "4"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def workers_of(pid: int) -> list[int]:
    """Its decode workers that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C"])
def test_a_job_that_is_stopped_keeps_what_it_did_and_goes_on(tmp_path: Path, how: str) -> None:
    folder, library = tmp_path / "many", tmp_path / "library"
    for mark in range(30):
        draw_picture(folder / f"{mark:03d}.png", (8 * mark, mark, 90), mark)
    run = start(library, folder)
    workers: list[int] = []

    def stop_after_the_first_commit() -> None:
        deadline = time.monotonic() + 60
        while not list(library.glob("embeddings/*/part-*.parquet")):
            if time.monotonic() > deadline or run.poll() is not None:
                return
            time.sleep(0.01)
        workers.extend(workers_of(run.pid))
        if how == "SIGTERM":
            run.send_signal(signal.SIGTERM)
        else:
            os.killpg(run.pid, signal.SIGINT)  # the whole group, as the terminal does

    thread = threading.Thread(target=stop_after_the_first_commit)
    thread.start()
    out, err = run.communicate(timeout=120)
    thread.join()
    assert run.returncode == 130, err
    assert "Finishing the batch in flight" in err
    assert "Traceback" not in err
    report = json.loads(out)
    assert 0 < report["embedded"] < 30
    assert report["failed"] == 0
    if sys.platform == "linux":
        assert workers
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]

    opened = Library.open(library)
    assert examine(opened).is_clean
    assert [job.status for job in list_jobs(opened.engine)] == ["interrupted"]
    opened.close()
    rest = start(library, folder)
    out, err = rest.communicate(timeout=120)
    assert rest.returncode == 0, err
    assert json.loads(out)["embedded"] == 30 - report["embedded"]
