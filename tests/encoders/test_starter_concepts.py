import numpy as np
import pytest

from encoders.starter.concepts import membership, picture_embeddings, query_embeddings
from encoders.starter.lexicon import concept_keys, lexicon_digest, read_lexicon
from encoders.starter.names import CONCEPTS_FILE, Names, owners_in, stored_points
from encoders.starter.sentences import SentenceModel


@pytest.fixture(scope="module")
def names() -> tuple[Names, list[str]]:
    owners = owners_in(read_lexicon())
    return Names(*stored_points(), owners), owners.names


def test_the_stored_points_were_built_from_this_lexicon(names):
    with np.load(CONCEPTS_FILE, allow_pickle=False) as file:
        assert str(file["lexicon"]) == lexicon_digest(), (
            "run python -m encoders.starter.build_concepts"
        )
        assert len(file["codes"]) == len(names[1])


def test_the_stored_points_are_those_of_the_sentence_model(names):
    table, every_name = names
    rows = range(0, len(every_name), 2500)
    computed = table.place(SentenceModel().embeddings([every_name[row] for row in rows]))
    cosines = (computed * table.points(rows)).sum(axis=1)
    assert cosines.min() > 0.6
    assert cosines.mean() > 0.8


def test_a_picture_of_one_dog_is_as_much_any_dog_as_that_dog_and_little_another():
    probabilities = np.zeros((1, 1000), np.float32)
    probabilities[0, [207, 208]] = 0.9, 0.1
    embedding = picture_embeddings(probabilities, membership())[0]
    keys = concept_keys()
    seen = {keys[row]: embedding[row] for row in np.flatnonzero(embedding)}
    assert set(seen) == {"207", "208", "animal", "mammal", "pet", "dog"}
    assert seen["207"] == pytest.approx(seen["dog"], rel=0.06)
    assert seen["208"] < 0.4 * seen["207"]
    assert np.linalg.norm(embedding) == pytest.approx(1)


def test_what_is_beside_a_kind_counts_less_than_what_is_of_it():
    probabilities = np.zeros((2, 1000), np.float32)
    convertible, car_wheel = 511, 479
    probabilities[[0, 1], [convertible, car_wheel]] = 1.0
    car = concept_keys().index("car")
    of_it, beside = picture_embeddings(probabilities, membership())[:, car]
    assert 0 < beside < 0.8 * of_it


def test_a_query_keeps_its_nearest_concepts_only():
    scores = np.linspace(0, 1, 1141, dtype=np.float32)[None]
    embedding = query_embeddings(scores)[0]
    assert np.count_nonzero(embedding) == 10
    assert embedding.argmax() == 1140
    assert np.linalg.norm(embedding) == pytest.approx(1)
