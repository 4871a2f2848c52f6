import json
from pathlib import Path

import pytest
from drawn_pictures import draw_picture


@pytest.fixture
def starter_library(polyglance, pictures: Path, tmp_path: Path) -> Path:
    assert polyglance("index", pictures, "--model", "starter").status == 0
    return tmp_path / "library"


def status(polyglance) -> dict:
    return json.loads(polyglance("status", "--json").out)


def test_a_library_moves_to_another_model_back_and_forth_and_drops_the_old(
    polyglance, starter_library: Path, pictures: Path, tiny_siglip2: Path
) -> None:
    ran = polyglance("index", pictures, "--model", tiny_siglip2)
    assert ran.status == 1
    assert f"polyglance reindex --model {tiny_siglip2}" in ran.err

    ran = polyglance("reindex", "--model", tiny_siglip2)
    assert ran.status == 0, ran.err
    assert "6 pictures embedded" in ran.out
    assert "polyglance reindex --undo" in ran.out
    assert status(polyglance)["model"] == str(tiny_siglip2)
    draw_picture(pictures / "new.png", (90, 10, 120))
    assert json.loads(polyglance("index", pictures, "--json").out)["embedded"] == 1
    ran = polyglance("search", "a cat", "--json")
    assert len(json.loads(ran.out)["hits"]) == 7

    ran = polyglance("reindex", "--undo")
    assert ran.status == 0
    assert "1 pictures were indexed since" in ran.out
    assert (status(polyglance)["model"], status(polyglance)["searchable"]) == ("starter", 6)
    assert polyglance("reindex", "--undo").status == 1

    report = json.loads(polyglance("reindex", "--model", tiny_siglip2, "--json").out)
    assert (report["switched"], report["embedded"]) == (True, 0)
    ran = polyglance("reindex", "--remove-old", "--json")
    assert json.loads(ran.out)["removed"] == ["starter"]
    assert json.loads(ran.out)["freed_bytes"] > 0
    assert len(list(starter_library.glob("embeddings/*"))) == 1
    assert polyglance("doctor").status == 0
    assert "nothing to go back to" in polyglance("reindex", "--undo").err


def test_without_a_model_the_index_is_built_anew(polyglance, starter_library: Path) -> None:
    before = status(polyglance)["index_generation"]
    ran = polyglance("reindex")
    assert (ran.status, "6 pictures" in ran.out) == (0, True)
    assert status(polyglance)["index_generation"] not in (None, before)
    assert json.loads(polyglance("reindex", "--json").out) == {
        "model": "starter",
        "indexed": 6,
        "missing": 0,
    }


def test_an_incomplete_reindex_names_what_it_could_not_read_and_changes_nothing(
    polyglance, starter_library: Path, pictures: Path, tiny_siglip2: Path
) -> None:
    (pictures / "red.png").rename(pictures.parent / "hidden.png")
    ran = polyglance("reindex", "--model", tiny_siglip2)
    assert ran.status == 1
    assert str(pictures / "red.png") in ran.err
    assert "starter goes on serving" in ran.out
    assert status(polyglance)["model"] == "starter"
    assert json.loads(polyglance("reindex", "--abandon", "--json").out)["removed"] == [
        str(tiny_siglip2)
    ]
    assert polyglance("doctor").status == 0


def test_options_that_do_not_go_together_are_refused(polyglance, starter_library: Path) -> None:
    assert polyglance("reindex", "--undo", "--model", "starter").status == 2
    assert polyglance("reindex", "--switch-anyway").status == 2
    assert "There was nothing to remove" in polyglance("reindex", "--remove-old").out
