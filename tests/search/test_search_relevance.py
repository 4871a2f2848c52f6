from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder

from search.ranking.background import (
    Background,
    Kind,
    background_texts,
    embed_background,
    kind_of,
    load_background,
    save_background,
)
from search.ranking.relevance import NOTHING_BELOW, RelevanceModel, measure_bar
from storage.index.snapshot import Snapshot

DIM = 64


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def library_of(pictures: np.ndarray) -> Snapshot:
    """A snapshot that is all tail."""
    ids = np.arange(1, len(pictures) + 1)
    nothing = np.empty(0, dtype=np.int64)
    return Snapshot(DIM, 1, None, None, ids, pictures.astype(np.float16), nothing)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture
def background(random: np.random.Generator) -> Background:
    texts = unit(random.normal(size=(60, DIM)))
    return Background((Kind("LATIN", False),) * 60, texts)


def top_relevance(model: RelevanceModel, query: np.ndarray, snapshot: Snapshot) -> float:
    found = snapshot.nearest(query, 20)
    return float(model.of_text_query("a thing", found.scores, snapshot).max())


@pytest.mark.parametrize("count", [600, 5000])
def test_unrelated_queries_find_nothing_and_related_ones_do(
    random: np.random.Generator, background: Background, count: int
) -> None:
    pictures = unit(random.normal(size=(count, DIM)))
    snapshot = library_of(pictures)
    model = RelevanceModel(ColorEncoder(), lambda: background)
    unrelated = unit(random.normal(size=(40, DIM)))
    related = unit(pictures[:40] + 0.08 * random.normal(size=(40, DIM)))
    false = np.mean([top_relevance(model, q, snapshot) >= NOTHING_BELOW for q in unrelated])
    missed = np.mean([top_relevance(model, q, snapshot) < NOTHING_BELOW for q in related])
    assert false <= 0.25
    assert missed == 0


def test_a_library_in_which_everything_matches_is_relevant_throughout(
    random: np.random.Generator, background: Background
) -> None:
    subject = unit(random.normal(size=DIM))
    snapshot = library_of(unit(2 * subject + 0.1 * random.normal(size=(800, DIM))))
    model = RelevanceModel(ColorEncoder(), lambda: background)
    found = snapshot.nearest(subject, 800)
    relevances = model.of_text_query("a thing", found.scores, snapshot)
    assert np.mean(relevances >= NOTHING_BELOW) > 0.95


def test_relevance_falls_with_the_score(
    random: np.random.Generator, background: Background
) -> None:
    snapshot = library_of(unit(random.normal(size=(700, DIM))))
    model = RelevanceModel(ColorEncoder(), lambda: background)
    scores = np.linspace(1, -1, 50, dtype=np.float32)
    relevances = model.of_text_query("a thing", scores, snapshot)
    assert np.all(np.diff(relevances) <= 0)
    assert relevances[0] > 0.99
    assert relevances[-1] < 0.01


def test_a_small_library_is_judged_by_the_encoder(background: Background) -> None:
    snapshot = library_of(unit(np.ones((10, DIM))))
    scores = np.array([0.2, 0.5, 0.9], dtype=np.float32)
    found = RelevanceModel(ColorEncoder(), lambda: background).of_text_query(
        "red", scores, snapshot
    )
    np.testing.assert_allclose(found, ColorEncoder().match_probability(scores))


def test_the_bar_is_what_three_in_four_background_queries_stay_below() -> None:
    best = np.linspace(0.1, 0.3, 101, dtype=np.float32)
    background = np.stack([best, -np.ones(101, dtype=np.float32)], axis=1)
    pictures = np.array([[1, 0], [0, 1]], dtype=np.float32)
    bar = measure_bar(background, pictures)
    assert bar.even == pytest.approx(0.25)
    at = np.array([0.2, 0.25, 0.3], dtype=np.float32)
    np.testing.assert_allclose((at - bar.even_among(2)) / bar.width, [-2, 0, 2], atol=1e-4)
    assert bar.even_among(2000) > 0.25  # chance has more tries in a larger library


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("cat", Kind("LATIN", False)),
        ("two cats on a sofa", Kind("LATIN", True)),
        ("con mèo đen", Kind("VIETNAMESE", True)),
        ("mèo đen", Kind("VIETNAMESE", False)),
        ("猫", Kind("CJK", False)),
        ("两只猫在沙发上睡觉", Kind("CJK", True)),
        ("ねこ", Kind("HIRAGANA", False)),
        ("子猫がソファで眠っている", Kind("HIRAGANA", True)),
        ("кошка", Kind("CYRILLIC", False)),
        ("แมว", Kind("THAI", False)),
        ("قطة سوداء على الأريكة", Kind("ARABIC", True)),
        ("", Kind("LATIN", False)),
        ("123 !", Kind("LATIN", False)),
    ],
)
def test_queries_are_compared_with_their_like(text: str, kind: Kind) -> None:
    assert kind_of(text) == kind


def test_every_kind_of_the_listing_has_company() -> None:
    """The languages that Polyglance is measured in are compared with their own script."""
    background = embed_background(ColorEncoder())
    assert len(background.kinds) == len(background_texts()) == 24 * 24
    for text in ("con mèo đen", "猫", "кошка", "แมว", "قطة", "बिल्ली", "বিড়াল", "고양이", "ねこ"):
        alike = background.like(text)
        assert 8 <= len(alike) < 100, text


def test_the_background_is_kept_and_made_anew_for_another_listing(tmp_path: Path) -> None:
    path = tmp_path / "golden" / "colors.npz"
    assert load_background(path) is None
    made = embed_background(ColorEncoder())
    save_background(made, path)
    kept = load_background(path)
    np.testing.assert_array_equal(kept.embeddings, made.embeddings)
    assert kept.kinds == made.kinds
    np.savez(path, texts=np.array(["another"]), embeddings=made.embeddings[:1])
    assert load_background(path) is None
    path.write_bytes(b"damaged")
    assert load_background(path) is None
