"""kill -9 in the midst of a tar: what was indexed of it must not pass for all of it."""

import os
import subprocess
import sys
from pathlib import Path

from drawn_containers import drawn, write_dataset, write_tar
from library_contents import check_recovery, contents, run_job

from storage.library import Library

SCRIPT = Path(__file__).with_name("killed_indexer.py")
ROOT = Path(__file__).parents[2]
STRIDE, FEWEST_KILLS = 22, 3


def test_killed_within_a_container_the_job_goes_on_with_the_rest_of_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    members = {f"{mark}.png": drawn(tmp_path, mark) for mark in range(6)}
    write_tar(data / "0.tar", members)
    write_dataset(data / "1.parquet", [drawn(tmp_path, mark, "jpg") for mark in range(6, 10)])
    undisturbed = Library.open(tmp_path / "undisturbed", create=True)
    run_job(undisturbed, data)
    expected = contents(undisturbed)
    undisturbed.close()
    assert len(expected) == 10
    (tmp_path / "killed").mkdir()
    arguments = [str(data), str(tmp_path / "killed"), "20", str(STRIDE), "1000"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = int(done.stdout)
    assert kills >= FEWEST_KILLS
    folders = sorted((tmp_path / "killed").iterdir())[:kills]
    survived = [check_recovery(folder, data, expected) for folder in folders]
    assert any(0 < count < 6 for count in survived)  # within the tar
    assert any(6 < count < 10 for count in survived)  # within the Parquet file
