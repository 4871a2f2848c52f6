import base64
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder
from flask.testing import FlaskClient
from PIL import Image

from encoders.starter import StarterEncoder
from search.classify import classify, label_embeddings


def test_labels_in_any_language_are_ranked_and_share_the_probability() -> None:
    red = Image.new("RGB", (40, 40), (214, 40, 40))
    found = classify(ColorEncoder(), red, ["xanh dương", "đỏ", "绿"])
    assert found[0].label == "đỏ"
    assert found[0].score == pytest.approx(1.0, abs=1e-5)
    assert found[0].probability > 0.9
    assert sum(each.probability for each in found) == pytest.approx(1.0)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_a_label_is_its_name_to_the_starter_and_a_template_s_mean_to_others() -> None:
    starter = StarterEncoder()
    labels = ["dog", "con mèo", "пальто"]
    assert np.array_equal(label_embeddings(starter, labels), starter.encode_texts(labels))
    other = ColorEncoder()
    assert not np.allclose(label_embeddings(other, labels), other.encode_texts(labels))


def test_one_label_has_all_the_probability() -> None:
    red = Image.new("RGB", (40, 40), (214, 40, 40))
    [only] = classify(ColorEncoder(), red, ["blue"])
    assert only.probability == 1.0


def test_the_api_classifies_an_indexed_and_a_sent_picture(
    client: FlaskClient, pictures: Path
) -> None:
    labels = ["red", "blue", "green"]
    blue = (pictures / "sky" / "blue.png").read_bytes()
    sent = {"image": {"base64": base64.b64encode(blue).decode()}, "labels": labels}
    answer = client.post("/api/v1/classify", json=sent).json
    assert answer["labels"][0]["label"] == "blue"
    hit = client.get("/api/v1/search?q=red&limit=1").json["hits"][0]
    known = client.post("/api/v1/classify", json={"image": {"id": hit["id"]}, "labels": labels})
    assert known.json["labels"][0]["label"] == "red"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"labels": ["x"]}, 422, "image"),
        ({"image": {"id": 1}, "labels": []}, 422, "labels"),
        ({"image": {"id": 1}, "labels": [" "]}, 422, "labels.0"),
        ({"image": {"id": 1}, "labels": ["x" * 3000]}, 422, "labels.0"),
    ],
)
def test_a_bad_request_names_the_field(
    client: FlaskClient, body: dict, status: int, field: str
) -> None:
    response = client.post("/api/v1/classify", json=body)
    assert response.status_code == status
    assert [each["field"] for each in response.json["errors"]] == [field]


def test_the_encoders_own_probability_comes_with_each_hit_of_a_text(client: FlaskClient) -> None:
    hits = client.get("/api/v1/search?q=red").json["hits"]
    scores = np.array([hit["score"] for hit in hits], dtype=np.float32)
    expected = ColorEncoder().match_probability(scores).tolist()
    assert [hit["probability"] for hit in hits] == pytest.approx(expected, abs=1e-4)
    similar = client.get(f"/api/v1/images/{hits[0]['id']}/similar").json["hits"]
    assert {hit["probability"] for hit in similar} == {None}
