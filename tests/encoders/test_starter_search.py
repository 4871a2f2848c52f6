"""The starter on real photographs: those that come with scikit-image, -learn and matplotlib."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import skimage
import sklearn
from PIL import Image

from encoders.starter import StarterEncoder

FOLDERS = [
    Path(skimage.__file__).parent / "data",
    Path(sklearn.__file__).parent / "datasets" / "images",
    Path(matplotlib.__file__).parent / "mpl-data" / "sample_data",
]
NAMES = [
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "china.jpg",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "flower.jpg",
    "grace_hopper.jpg",
    "grass.png",
    "gravel.png",
    "horse.png",
    "hubble_deep_field.jpg",
    "logo2.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
]
FIRST = {
    "chelsea.png": "a cat|con mèo|con meo|猫|gato|кошка|قطة|고양이|แมว|बिल्ली|paka|گربه|বিড়াল|kucing|"
    "CHAT|a cat on the windowsill|ảnh chụp một con mèo|沙发上的猫|猫の写真|una foto de un gato",
    "rocket.jpg": "rocket|tên lửa|火箭|ракета|صاروخ|จรวด",
    "coffee.png": "coffee|cà phê|ca phe|コーヒー|kaffee|커피|a cup of coffee",
    "flower.jpg": "flower|hoa|花|цветок|زهرة|fleurs",
    "motorcycle_left.png": "motorcycle|xe máy|摩托车|мотоцикл|오토바이|kırmızı motosiklet",
    "china.jpg": "temple|chùa|寺庙|храм|building|建物",
    "grace_hopper.jpg": "person|người|人|женщина|una mujer",
    "logo2.png": "clock|đồng hồ|时钟",
}


@pytest.fixture(scope="module")
def starter() -> StarterEncoder:
    return StarterEncoder()


@pytest.fixture(scope="module")
def embeddings(starter) -> np.ndarray:
    pictures = []
    for name in NAMES:
        [path] = [folder / name for folder in FOLDERS if (folder / name).exists()]
        with Image.open(path) as picture:
            pictures.append(picture.convert("RGB"))
    return starter.encode_images(pictures)


@pytest.mark.parametrize(
    ("query", "first"),
    [(query, name) for name, queries in FIRST.items() for query in queries.split("|")],
)
def test_a_query_finds_its_photograph_first(starter, embeddings, query, first):
    cosines = embeddings @ starter.encode_texts([query])[0]
    assert NAMES[cosines.argmax()] == first


@pytest.mark.parametrize("query", ["elephant", "con voi", "ピザ", "скрипка", "saxophone"])
def test_what_no_photograph_shows_matches_none(starter, embeddings, query):
    cosines = embeddings @ starter.encode_texts([query])[0]
    assert starter.match_probability(cosines).max() < 0.1


def test_a_photograph_is_like_its_kind(starter, embeddings):
    like_the_cat = embeddings @ embeddings[NAMES.index("chelsea.png")]
    assert like_the_cat[NAMES.index("chelsea.png")] == pytest.approx(1, abs=1e-5)
    # The dog, which is a mammal and a pet too.
    assert np.sort(like_the_cat)[-2] < 0.6
