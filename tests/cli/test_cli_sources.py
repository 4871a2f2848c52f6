"""What `polyglance index` takes besides folders, as typed at a shell."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_containers import drawn, write_dataset, write_tar

ROOT = Path(__file__).parents[2]


@pytest.fixture
def piped(polyglance, monkeypatch: pytest.MonkeyPatch):
    """piped(b"…", "index", …) has bytes on standard input."""

    def run(data: bytes, *arguments: object):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return polyglance(*arguments)

    return run


def test_a_list_on_standard_input_is_indexed_and_what_is_missing_named(
    pictures: Path, tmp_path: Path
) -> None:
    odd = os.fsencode(pictures / "sky") + b"/caf\xe9.png"
    os.rename(pictures / "sky" / "blue.png", odd)  # noqa: PTH104  (bytes)
    gone = os.fsencode(pictures / "gone \xff.png")
    listed = b"\0".join([odd, os.fsencode(pictures / "red.png"), gone, b""])
    command = "import sys; from cli.main import main; main()"
    words = ("--data-dir", tmp_path / "library", "index", "-", "--model", "starter", "--json")
    ran = subprocess.run(
        [sys.executable, "-c", command, *words],
        input=listed,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["seen"], report["new"], report["failed"]) == (3, 2, 1)
    jobs = subprocess.run(
        [sys.executable, "-c", command, "--data-dir", tmp_path / "library", "jobs", "1"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=120,
    )
    assert b"there is no such file" in jobs.stdout
    assert b"gone" in jobs.stdout


def test_lines_and_other_sources_go_together(piped, pictures: Path, tmp_path: Path) -> None:
    lines = f"{pictures}/red.png\npictures/sky\n".encode()  # the second from where we are
    ran = piped(lines, "index", "-", pictures / "plants", "--dry-run", "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["new"] == 6


def test_a_list_that_names_nothing_is_refused(piped) -> None:
    ran = piped(b"", "index", "-")
    assert (ran.status, "no names came" in ran.err) == (1, True)
    ran = piped(b"nowhere.jpg\n", "index", "-", "--dry-run")
    assert (ran.status, "nowhere.jpg" in ran.err) == (1, True)


def test_names_with_line_breaks_need_nul_bytes(piped, pictures: Path) -> None:
    name = pictures / "two\nlines.png"
    (pictures / "red.png").rename(name)
    ran = piped(os.fsencode(name), "index", "-", "--null", "--dry-run", "--json")
    assert json.loads(ran.out)["new"] == 1
    ran = piped(b"", "index", pictures, "--null")
    assert (ran.status, "standard input" in ran.err) == (2, True)


def test_excluded_patterns_come_on_top_of_the_configured_ones(
    polyglance, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("index:\n  exclude: [plants]\n", encoding="utf-8")
    ran = polyglance("index", pictures, "--exclude", "white*", "--dry-run", "--json")
    assert json.loads(ran.out)["new"] == 2
    assert json.loads(polyglance("index", pictures, "--dry-run", "--json").out)["new"] == 3


def test_tars_and_parquet_files_are_counted_like_folders(polyglance, tmp_path: Path) -> None:
    pictures = [drawn(tmp_path, number, "jpg") for number in range(5)]
    write_tar(tmp_path / "d" / "0.tar", {"a.jpg": pictures[0], "a.txt": b"a caption"})
    write_dataset(tmp_path / "d" / "1.parquet", pictures)
    ran = polyglance("index", "d", "--dry-run", "--json")
    assert json.loads(ran.out)["new"] == 6
    ran = polyglance("index", "d/0.tar", "d/1.parquet", "--dry-run", "--json")
    assert json.loads(ran.out)["new"] == 6


def test_a_compressed_tar_is_refused_before_a_model_is_loaded(polyglance, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").touch()
    ran = polyglance("index", "x.tar.gz", "--model", "no/such/model")
    assert ran.status == 1
    assert "x.tar.gz: is a compressed archive" in ran.err
    assert "plain .tar" in ran.err


def test_the_help_shows_each_kind_of_source(polyglance) -> None:
    shown = polyglance("index", "--help").out
    for words in (
        "~/Pictures",
        "00000.tar",
        ".parquet",
        "polyglance index -",
        "--exclude",
        "s3://",
    ):
        assert words in shown
