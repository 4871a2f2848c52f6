"""The power fails at each step of a job: what was not flushed to the disk is gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from library_contents import check_recovery, contents

from storage.library import Library
from storage.thumbnails import STORED_SIDE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SCRIPT = Path(__file__).with_name("power_cut_indexer.py")
ROOT = Path(__file__).parents[2]
STRIDE = 1 if os.environ.get("POLYGLANCE_ALL_KILLS") else 5


def test_after_a_power_cut_at_any_step_the_library_is_clean_and_the_job_goes_on(
    tmp_path: Path,
) -> None:
    pictures, images = tmp_path / "pictures", tmp_path / "images"
    for mark in range(8):
        draw_picture(pictures / f"{mark}.png", (200, 25 * mark, 0), mark)
    done = subprocess.run(
        [sys.executable, SCRIPT, pictures, tmp_path / "undisturbed", images, "1", str(STRIDE)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    undisturbed = Library.open(tmp_path / "undisturbed")
    expected = contents(undisturbed)
    undisturbed.close()
    assert len(expected) == 8

    kept: dict[str, list[int]] = {"lost": [], "empty": [], "torn": []}
    for image in sorted(images.iterdir()):
        kind = image.name.partition("-")[2]
        kept[kind].append(check_recovery(image, pictures, expected))
    assert len(kept["lost"]) == len(kept["empty"]) == -(-int(done.stdout) // STRIDE)
    for counts in kept.values():
        assert counts == sorted(counts)
        assert len(set(counts)) > 2


def test_a_thumbnail_that_a_power_cut_left_empty_is_none(library: Library) -> None:
    sha256 = bytes(32)
    library.thumbnails.put(sha256, STORED_SIDE, b"RIFF")
    assert library.thumbnails.has(sha256, STORED_SIDE)
    library.thumbnails.path(sha256, STORED_SIDE).write_bytes(b"")
    assert not library.thumbnails.has(sha256, STORED_SIDE)
    assert library.thumbnails.get(sha256, STORED_SIDE) is None
