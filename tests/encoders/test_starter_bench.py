import numpy as np
import pytest

from bench.retrieval import Gallery, Query, measure, precision_at, recall_at, simulated_gallery
from bench.simulated import simulated_photographs

SCORES = np.array([0.9, 0.1, 0.8, 0.3, 0.2], np.float32)


@pytest.mark.parametrize(
    ("relevant", "cut", "recall"),
    [("10000", 1, 1.0), ("01000", 1, 0.0), ("01000", 5, 1.0), ("11000", 2, 0.5), ("11100", 1, 1)],
)
def test_recall_counts_what_fits_into_the_cut(relevant, cut, recall):
    assert recall_at(cut, SCORES, np.array(list(relevant)) == "1") == recall


def test_precision_is_the_share_of_right_ones_among_the_first():
    assert precision_at(2, SCORES, np.array([True, True, False, False, False])) == 0.5


def test_classes_are_measured_by_recall_and_everyday_words_by_precision():
    gallery = Gallery(np.eye(2, dtype=np.float32), [{"281", "cat"}, {"207", "dog"}])
    kinds = Gallery(np.eye(20, dtype=np.float32)[:, :2], [{"cat"}] * 10 + [{"dog"}] * 10)
    queries = [Query("vi", "281", "mèo mướp"), Query("vi", "207", "?"), Query("vi", "cat", "mèo")]
    embeddings = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    table = measure(gallery, kinds, queries, embeddings)
    assert table == {
        "vi": {"recall@1": 0.5, "recall@5": 1.0, "recall@10": 1.0, "precision@10": 1.0}
    }


def test_as_many_simulated_photographs_are_named_rightly_as_asked_for():
    probabilities, classes = simulated_photographs(0.8, per_class=1, seed=0)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert (probabilities.argmax(axis=1) == classes).mean() == pytest.approx(0.8, abs=0.01)


def test_a_simulated_photograph_shows_its_class_and_what_that_is_under():
    gallery = simulated_gallery(0.8, per_class=1)
    assert gallery.shows[207] >= {"207", "dog", "animal"}
    assert not gallery.shows[207] & {"cat", "vehicle"}
    car_wheel, convertible = 479, 511
    assert "car" in gallery.shows[convertible]
    assert "car" not in gallery.shows[car_wheel]
