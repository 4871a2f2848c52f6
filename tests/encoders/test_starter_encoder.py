import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from encoders.probes import PROBE_TEXTS, probe_pictures
from encoders.starter import StarterEncoder

AWKWARD_TEXTS = ["", "   ", "!", "x" * 10_000, "mèo " * 2_500, "a\0b", "\ud800", "🐶", "\u202eكلب"]


@pytest.fixture(scope="module")
def starter() -> StarterEncoder:
    return StarterEncoder()


def test_embeddings_are_unit_vectors_of_the_space(starter):
    pictures = starter.encode_images(probe_pictures())
    texts = starter.encode_texts(PROBE_TEXTS)
    for embeddings in (pictures, texts):
        assert embeddings.dtype == np.float32
        assert embeddings.shape[1] == starter.space.dim == 1141
        assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)


def test_nothing_in_nothing_out(starter):
    assert starter.encode_images([]).shape == (0, 1141)
    assert starter.encode_texts([]).shape == (0, 1141)


@pytest.mark.parametrize("text", AWKWARD_TEXTS, ids=range(len(AWKWARD_TEXTS)))
def test_an_awkward_text_gets_an_embedding(starter, text):
    embedding = starter.encode_texts([text])[0]
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2), (288, 288)])
def test_a_picture_of_any_shape_gets_an_embedding(starter, size):
    crop = starter.preprocess(Image.new("RGB", size, (200, 30, 30)))
    assert crop.shape == (288, 288, 3)
    assert crop.dtype == np.uint8
    assert np.linalg.norm(starter.encode_preprocessed([crop])[0]) == pytest.approx(1, abs=1e-5)


def test_only_the_middle_of_a_picture_counts(starter):
    picture = Image.new("RGB", (400, 200), (0, 0, 255))
    picture.paste((255, 0, 0), (100, 0, 300, 200))
    assert (starter.preprocess(picture) == (255, 0, 0)).all()


def test_an_embedding_does_not_depend_on_its_batch(starter):
    pictures = probe_pictures()
    together = starter.encode_images(pictures)
    alone = np.concatenate([starter.encode_images([picture]) for picture in pictures])
    assert together == pytest.approx(alone, abs=1e-5)
    texts = [*PROBE_TEXTS, *["con mèo"] * 40, "кошка"]
    together = starter.encode_texts(texts)
    alone = np.concatenate([starter.encode_texts([text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)


def test_upper_and_lower_case_agree(starter):
    lower, upper = starter.encode_texts(["золотая рыбка", "ЗОЛОТАЯ РЫБКА"])
    assert lower == pytest.approx(upper)


def test_many_threads_get_what_one_gets(starter):
    pictures = probe_pictures()
    expected_texts = starter.encode_texts(PROBE_TEXTS)
    expected_pictures = starter.encode_images(pictures)

    def ask(number: int) -> bool:
        text = starter.encode_texts([PROBE_TEXTS[number % 5]])
        picture = starter.encode_images([pictures[number % 3]])
        return np.allclose(text, expected_texts[number % 5], atol=1e-5) and np.allclose(
            picture, expected_pictures[number % 3], atol=1e-5
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(40)))


def test_a_second_encoder_is_the_same_space_and_gives_the_same_embeddings(starter):
    second = StarterEncoder()
    assert second.space == starter.space
    assert np.array_equal(second.encode_texts(PROBE_TEXTS), starter.encode_texts(PROBE_TEXTS))
    pictures = probe_pictures()
    assert second.encode_images(pictures) == pytest.approx(starter.encode_images(pictures))


def test_a_query_that_is_cut_is_warned_of(starter):
    assert starter.text_warnings("con mèo " * 50) == []
    [warning] = starter.text_warnings("con mèo " * 51)
    assert "400 characters" in warning


def test_match_probability_rises_from_0_to_1(starter):
    cosines = np.array([-1, 0, 0.1, 0.24, 0.4, 1], np.float32)
    probabilities = starter.match_probability(cosines)
    assert probabilities.dtype == np.float32
    assert (np.diff(probabilities) > 0).all()
    assert probabilities[1] < 0.02
    assert probabilities[-2] > 0.9


def test_the_notice_names_the_limits_and_the_way_to_siglip_2(starter):
    assert "stand-in" in starter.notice
    assert "polyglance index --model google/siglip2-base-patch16-224" in starter.notice


def test_text_search_needs_no_torch_and_leaves_the_environment_alone():
    program = (
        "import os, sys\n"
        "from encoders.starter import StarterEncoder\n"
        "StarterEncoder().encode_texts(['mèo'])\n"
        "assert 'torch' not in sys.modules\n"
        "assert os.environ.get('OMP_NUM_THREADS') is None\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_torch_keeps_its_threads():
    program = (
        "import torch\n"
        "torch.set_num_threads(3)\n"
        "from encoders.starter.network import Network\n"
        "Network()\n"
        "assert torch.get_num_threads() == 3\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
