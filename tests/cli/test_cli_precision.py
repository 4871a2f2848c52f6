"""8-bit arithmetic as the commands come to use it."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoints
from drawn_pictures import draw_picture

from encoders.siglip.int8 import Agreement, Calibration, TowerCalibration, can_run_int8

pytestmark = pytest.mark.skipif(not can_run_int8(), reason="this CPU has no VNNI")

TRYING = "Trying 8-bit arithmetic"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.build_tiny_siglip2(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def fifty_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enough of them to try it, with a commit before the last."""
    monkeypatch.setenv("POLYGLANCE_INDEX_COMMIT_IMAGES", "48")
    for mark in range(50):
        draw_picture(tmp_path / "fifty" / f"{mark}.png", (5 * mark, 90, 250 - 5 * mark), mark)
    return tmp_path / "fifty"


def calibration_file(tmp_path: Path) -> Path:
    [found] = (tmp_path / "library" / "golden").glob("*-int8.npz")
    return found


def hits_of(answer: str) -> list[tuple[int, float]]:
    return [(hit["id"], hit["score"]) for hit in json.loads(answer)["hits"]]


def rewrite(path: Path, factor: float) -> None:
    """As if 8 bits had been found good enough; with ranges that are off by the factor."""
    made = Calibration.load(path)
    assert made is not None
    perfect = Agreement(1.0, 1.0, 1.0)

    def off(tower: TowerCalibration) -> TowerCalibration:
        ranges = {key: np.float32(factor) * array for key, array in tower.ranges.items()}
        return TowerCalibration(ranges, perfect)

    with path.open("wb") as file:
        Calibration(off(made.pictures), off(made.texts)).save(file)


def test_it_is_tried_once_on_the_first_pictures_and_says_what_it_found(
    polyglance, checkpoint: Path, fifty_pictures: Path, tmp_path: Path
) -> None:
    ran = polyglance("index", fifty_pictures, "--model", checkpoint)
    assert ran.status == 0, ran.err
    assert ran.err.count(TRYING) == 1
    assert "The model runs in " in ran.err
    assert "of the first 10 pictures are the same" in ran.err
    assert Calibration.load(calibration_file(tmp_path)) is not None
    draw_picture(fifty_pictures / "another.png", (9, 9, 9), 77)
    ran = polyglance("index", fifty_pictures)
    assert (ran.status, TRYING in ran.err) == (0, False)


def test_few_pictures_are_not_tried_on(
    polyglance, checkpoint: Path, pictures: Path, tmp_path: Path
) -> None:
    ran = polyglance("index", pictures, "--model", checkpoint)
    assert (ran.status, TRYING in ran.err) == (0, False)
    assert not list((tmp_path / "library" / "golden").glob("*-int8.npz"))


def test_float32_is_kept_where_it_is_asked_for(
    polyglance,
    checkpoint: Path,
    fifty_pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POLYGLANCE_ENCODER_DTYPE", "float32")
    ran = polyglance("index", fifty_pictures, "--model", checkpoint)
    assert (ran.status, TRYING in ran.err) == (0, False)


def test_8_bits_that_fail_the_self_test_are_not_used(
    polyglance, checkpoint: Path, fifty_pictures: Path, tmp_path: Path
) -> None:
    assert polyglance("index", fifty_pictures, "--model", checkpoint).status == 0
    before = polyglance("search", "a cat", "--json")
    rewrite(calibration_file(tmp_path), factor=0.01)
    ran = polyglance("search", "a cat", "--json")
    assert ran.status == 0, ran.err
    assert "Not in 8 bits: The picture tower of" in ran.err
    assert "float32" in ran.err
    assert hits_of(ran.out) == hits_of(before.out)


def test_a_new_model_is_tried_in_8_bits_before_all_is_embedded_with_it(
    polyglance, checkpoint: Path, fifty_pictures: Path, tmp_path: Path
) -> None:
    assert polyglance("index", fifty_pictures, "--model", "starter").status == 0
    ran = polyglance("reindex", "--model", checkpoint)
    assert (ran.status, ran.err.count(TRYING)) == (0, 1), ran.err
    assert Calibration.load(calibration_file(tmp_path)) is not None
    ran = polyglance("reindex", "--model", checkpoint)
    assert (ran.status, TRYING in ran.err) == (0, False)
