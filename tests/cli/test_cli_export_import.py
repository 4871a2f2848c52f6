import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn_pictures import draw_picture

from storage.jobs import list_jobs
from storage.library import Library
from storage.words.picture_words import matching_words

ROOT = Path(__file__).parents[2]
QUERY = ("search", "a red square", "-k", 30, "--json")


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of twenty pictures, one of them with a caption."""
    folder = tmp_path / "many"
    for mark in range(20):
        draw_picture(folder / f"{mark % 3}" / f"{mark:02d}.png", (12 * mark, 90, 40), mark)
    (folder / "0" / "00.txt").write_text("A murky tile", encoding="utf-8")
    return folder


@pytest.fixture
def filled(polyglance, many: Path, tiny_siglip2: Path):
    assert polyglance("index", many, "--model", tiny_siglip2).status == 0
    return polyglance


def elsewhere(polyglance, name: str, *arguments: object):
    """The same command line on another library."""
    return polyglance("--data-dir", name, *arguments)


def imported(ran) -> dict:
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


def kinds_of_jobs(name: str) -> list[str]:
    library = Library.open(Path(name).absolute())
    kinds = [job.kind for job in list_jobs(library.engine)]
    library.close()
    return kinds


def hits(ran) -> list[tuple[str, float]]:
    return [
        (hit["path"], pytest.approx(hit["score"], abs=2e-3))
        for hit in sorted(json.loads(ran.out)["hits"], key=lambda hit: hit["path"])
    ]


@pytest.mark.parametrize("kind", ["parquet", "clip-retrieval", "npy"])
def test_what_is_exported_can_be_imported_into_a_new_library_and_searched(
    filled, many: Path, tiny_siglip2: Path, kind: str
) -> None:
    assert filled("export", "out", "--format", kind).status == 0
    model = [] if kind == "parquet" else ["--model", tiny_siglip2]
    report = imported(elsewhere(filled, "new", "import", "out", *model, "--json"))
    assert (report["seen"], report["imported"], report["failed"]) == (20, 20, 0)
    assert report["cosine"] == (None if kind == "parquet" else pytest.approx(1, abs=1e-3))

    there = elsewhere(filled, "new", *QUERY)
    assert hits(there) == hits(filled(*QUERY))
    assert "\n" not in there.out.strip()
    doctor = elsewhere(filled, "new", "doctor")
    assert doctor.status == 0, doctor.out

    again = imported(elsewhere(filled, "new", "import", "out", *model, "--json"))
    assert (again["imported"], again["unchanged"]) == (0, 20)
    seen = imported(elsewhere(filled, "new", "index", many, "--json"))
    assert (seen["seen"], seen["embedded"]) == (20, 0)
    assert kinds_of_jobs("new") == ["index", "import", "import"]


def test_pictures_that_are_gone_or_changed_since_are_left_out_and_counted(
    filled, many: Path
) -> None:
    filled("export", "out.parquet")
    (many / "0" / "03.png").unlink()
    draw_picture(many / "1" / "04.png", (1, 2, 3))
    report = imported(elsewhere(filled, "new", "import", "out.parquet", "--json"))
    assert (report["imported"], report["missing"], report["changed"]) == (18, 1, 1)
    words = elsewhere(filled, "other", "import", "out.parquet").out
    assert "1 are not where image_path says" in words


def test_embeddings_of_another_model_are_refused_with_the_figure(
    filled, tiny_siglip2: Path, tmp_path: Path
) -> None:
    filled("export", "out", "--format", "clip-retrieval")
    path = tmp_path / "out" / "img_emb" / "img_emb_0.npy"
    rows = np.random.default_rng(0).normal(size=np.load(path).shape)
    np.save(path, (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16))
    ran = elsewhere(filled, "new", "import", "out", "--model", tiny_siglip2)
    assert ran.status == 1
    assert re.search(r"mean cosine of -?0\.[0-2]\d\d with what the files say", ran.err)
    assert elsewhere(filled, "new", "status", "--json").out.count('"pictures": 0') == 1


def test_a_file_of_another_fingerprint_is_refused(filled, tmp_path: Path) -> None:
    filled("export", "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    marks = {**table.schema.metadata, b"polyglance.fingerprint": b"e" * 64}
    pq.write_table(table.replace_schema_metadata(marks), tmp_path / "other.parquet")
    ran = elsewhere(filled, "new", "import", "other.parquet")
    assert ran.status == 1
    assert "eeeeeeeeeeee" in ran.err
    assert "do not compare" in ran.err


def test_files_that_name_no_model_need_one_and_relative_paths_need_a_root(
    filled, many: Path, tiny_siglip2: Path, tmp_path: Path
) -> None:
    filled("export", "out", "--format", "npy")
    ran = elsewhere(filled, "new", "import", "out")
    assert (ran.status, "--model" in ran.err) == (1, True)

    lines = tmp_path / "out" / "images.jsonl"
    shorter = lines.read_text(encoding="utf-8").replace(f"{many}/", "")
    rows = [json.loads(line) for line in shorter.splitlines()]
    for row in rows:
        del row["image_root"]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    ran = elsewhere(filled, "new", "import", "out", "--model", tiny_siglip2)
    assert (ran.status, "--root" in ran.err) == (1, True)
    ran = elsewhere(
        filled, "new", "import", "out", "--model", tiny_siglip2, "--root", many, "--json"
    )
    assert imported(ran)["imported"] == 20


def test_imported_captions_are_found_by_their_words(filled) -> None:
    filled("export", "out.parquet")
    assert elsewhere(filled, "new", "import", "out.parquet").status == 0
    library = Library.open(Path("new").absolute())
    matched = matching_words(library.engine, "murky tile", 5)
    library.close()
    assert [match.matched for match in matched] == [("caption",)]


def commands_of(heading: str, **values: object) -> str:
    """The document's own commands below a heading, with its example places made ours."""
    text = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
    script = re.search(rf"## {heading}.*?```sh\n(.*?)```", text, re.DOTALL).group(1)
    for name, value in values.items():
        script, count = re.subn(
            rf"^{name}=.*$", f"{name}={shlex.quote(str(value))}", script, flags=re.MULTILINE
        )
        assert count == 1
    return f"set -eu\n{script}"


def test_backup_and_restore_go_as_written_while_an_indexer_runs(
    filled, tmp_path: Path, pictures: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "polyglance").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "from cli.main import main; main()" "$@"'
    )
    (programs / "polyglance").chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join(
            [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        ),
    }
    library, backup, restored = (tmp_path / name for name in ("library", "backup", "restored"))
    indexing = subprocess.Popen(
        ["polyglance", "--data-dir", library, "index", pictures, "--batch-size", "1"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    script = commands_of("Back up", LIBRARY=library, BACKUP=backup)
    for _ in range(2):  # the second one over the first
        subprocess.run(["sh", "-c", script], env=environment, check=True)
    assert indexing.wait(timeout=60) == 0
    script = commands_of("Restore", BACKUP=backup, RESTORED=restored)
    ran = subprocess.run(
        ["sh", "-c", script], env=environment, check=True, capture_output=True, text=True
    )
    assert "Pictures" in ran.stdout
    found = json.loads(elsewhere(filled, restored, *QUERY).out)["hits"]
    assert len(found) in range(20, 27)
    assert {f"{mark % 3}/{mark:02d}.png" for mark in range(20)} <= {hit["path"] for hit in found}
