"""A disk that is full, turns read-only or loses its rights in the middle of a job."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from library_contents import check_recovery, contents, run_job
from syscall_faults import FAULTS

from storage.library import Library

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")

SCRIPT = Path(__file__).with_name("failing_disk_cli.py")
ROOT = Path(__file__).parents[2]
STEPS = range(1, 80) if os.environ.get("POLYGLANCE_ALL_KILLS") else (1, 5, 8, 22, 29, 40, 55, 66)
NAMED = {
    "full": ("disk is full",),
    "read-only": ("read-only", "disk I/O error"),
    "locked": ("permission is denied", "Permission denied", "unable to open"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_fails_is_named_and_costs_nothing_that_was_committed(
    tmp_path: Path, fault: str
) -> None:
    pictures = tmp_path / "pictures"
    for mark in range(8):
        draw_picture(pictures / f"{mark}.png", (200, 25 * mark, 0), mark)
    undisturbed = Library.open(tmp_path / "undisturbed", create=True)
    run_job(undisturbed, pictures)
    expected = contents(undisturbed)
    undisturbed.close()

    # The command line takes every POLYGLANCE_… for a setting.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("POLYGLANCE_")}
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    done = subprocess.run(
        [sys.executable, SCRIPT, fault, pictures, libraries, *map(str, STEPS)],
        env={**environment, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    kept = []
    for line in done.stdout.splitlines():
        turn = json.loads(line)
        library, said = libraries / f"{turn['step']:04d}", turn["said"]
        assert "Traceback" not in said
        if turn["status"] == 0:  # nothing was left to write
            assert "8 embedded" in said
        else:
            assert turn["status"] == 1, said
            assert "Error: " in said
            assert str(library) in said
            assert any(words in said for words in NAMED[fault]), said
        kept.append(check_recovery(library, pictures, expected))
    assert len(kept) == len(STEPS)
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert kept[-1] == 8
