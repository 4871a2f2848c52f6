import io
import json
import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture
def data_dir(polyglance, pictures: Path, tmp_path: Path) -> Path:
    assert polyglance("index", pictures, "--model", "starter").status == 0
    return tmp_path / "library"


def test_doctor_finds_a_library_in_order(polyglance, data_dir: Path) -> None:
    ran = polyglance("doctor")
    assert (ran.status, ran.out) == (0, "The library is in order: 6 pictures.\n")
    report = json.loads(polyglance("doctor", "--json").out)
    assert report == {
        "clean": True,
        "pictures": 6,
        "thumbnails_missing": 0,
        "findings": [],
        "done": [],
    }


def test_doctor_names_a_lost_shard_mends_it_and_says_what_is_left(
    polyglance, data_dir: Path, pictures: Path
) -> None:
    [shard] = data_dir.glob("embeddings/*/part-*.parquet")
    shard.unlink()
    ran = polyglance("doctor")
    assert ran.status == 1
    assert shard.name in ran.out
    assert "--repair" in ran.out
    assert json.loads(polyglance("doctor", "--json").out)["findings"][0]["kind"] == "shard_missing"

    ran = polyglance("doctor", "--repair")
    assert ran.status == 0, ran.err
    assert "6 pictures are to be embedded again" in ran.out
    assert f"polyglance index {pictures}" in ran.out
    assert polyglance("doctor").status == 1  # until that is done
    assert json.loads(polyglance("index", pictures, "--json").out)["embedded"] == 6
    assert polyglance("doctor").status == 0


def test_doctor_of_a_catalog_that_is_no_database_says_so(polyglance, data_dir: Path) -> None:
    for path in data_dir.glob("catalog.db*"):
        path.unlink()
    (data_dir / "catalog.db").write_bytes(b"this is no database" * 100)
    ran = polyglance("doctor", "--json")
    assert ran.status == 1
    [finding] = json.loads(ran.out)["findings"]
    assert "not a database" in finding["what"]
    assert polyglance("doctor", "--repair").status == 1
    assert (data_dir / "catalog.db").read_bytes() == b"this is no database" * 100


def test_doctor_without_a_library_says_how_to_make_one(polyglance) -> None:
    ran = polyglance("doctor", "--json")
    assert (ran.status, ran.out) == (1, "")
    assert "There is no library" in ran.err


def test_a_copied_library_answers_elsewhere_at_once(
    polyglance, data_dir: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "other disk" / "copy"
    shutil.copytree(data_dir, copy)
    shutil.rmtree(data_dir)
    assert polyglance("--data-dir", copy, "doctor").status == 0
    ran = polyglance("--data-dir", copy, "search", "the colour blue", "--json")
    assert len(json.loads(ran.out)["hits"]) == 6


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_collections_are_listed_and_renamed(polyglance, data_dir: Path) -> None:
    assert polyglance("collections").out == "        6  pictures\n"
    assert polyglance("collections", "rename", "pictures", "holiday").status == 0
    report = json.loads(polyglance("collections", "--json").out)
    assert report == {"collections": [{"name": "holiday", "pictures": 6}]}
    ran = polyglance("collections", "rename", "pictures", "x")
    assert ran.status == 1
    assert "There is no collection 'pictures'. Did you mean 'holiday'?" in ran.err


def test_remove_says_how_many_asks_and_leaves_the_files(
    polyglance, data_dir: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = polyglance("remove", "pictures/sky", "--dry-run")
    assert (ran.status, ran.out.split(".")[0]) == (0, "Would forget 2 pictures (2 files)")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    ran = polyglance("remove", "pictures/sky")
    assert ran.status == 2
    assert "--yes" in ran.err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert polyglance("remove", "pictures/sky").status == 1
    assert json.loads(polyglance("status", "--json").out)["searchable"] == 6
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    ran = polyglance("remove", "pictures/sky")
    assert (ran.status, "Forgot 2 pictures" in ran.out) == (0, True)
    assert json.loads(polyglance("status", "--json").out)["searchable"] == 4
    assert polyglance("remove", "--collection", "pictures", "--yes").status == 0
    assert json.loads(polyglance("status", "--json").out)["searchable"] == 0
    assert len(list(pictures.rglob("*.png"))) == 6


def test_remove_wants_to_know_what(polyglance, data_dir: Path) -> None:
    assert polyglance("remove").status == 2
    assert polyglance("remove", "pictures", "--collection", "pictures").status == 2
    ran = polyglance("remove", "nowhere", "--yes")
    assert ran.status == 1
    assert "nowhere: the library knows no picture there" in ran.err


def test_remap_follows_a_root_and_refuses_what_is_not_it(
    polyglance, data_dir: Path, pictures: Path, tmp_path: Path
) -> None:
    ran = polyglance("remap", pictures, tmp_path / "new")
    assert ran.status == 1
    assert "there is no such folder" in ran.err
    (tmp_path / "new").mkdir()
    ran = polyglance("remap", pictures, tmp_path / "new")
    assert ran.status == 1
    assert "Of 6 indexed files looked for, 0 are below" in ran.err
    (tmp_path / "new").rmdir()
    pictures.rename(tmp_path / "new")
    ran = polyglance("remap", "pictures", "new/")
    assert (ran.status, ran.out) == (0, f"{pictures} → {tmp_path / 'new'}\n")
    report = json.loads(polyglance("index", tmp_path / "new", "--json").out)
    assert (report["unchanged"], report["embedded"]) == (6, 0)
    assert polyglance("remap", "new", "/not/yet/there", "--force").status == 0
