import base64
from pathlib import Path

import numpy as np
import pytest
from color_encoder import DIM, ColorEncoder
from flask.testing import FlaskClient
from PIL import Image

from search import schemas
from search.schemas import MOST_IMAGES_TO_EMBED, MOST_TEXTS_TO_EMBED

URL = "/api/v1/embeddings"


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_texts_and_pictures_come_back_in_order_in_the_librarys_space(
    client: FlaskClient, pictures: Path
) -> None:
    hit = client.get("/api/v1/search?q=red&limit=1").json["hits"][0]
    blue, green = pictures / "sky" / "blue.png", pictures / "plants" / "green.png"
    images = [{"base64": encoded(blue)}, {"id": hit["id"]}, {"base64": encoded(green)}]
    response = client.post(URL, json={"texts": ["đỏ", "blue"], "images": images})
    answer = schemas.EmbeddingsAnswer.model_validate(response.json)
    assert (answer.model, answer.dim) == ("colors", DIM)
    encoder = ColorEncoder()
    assert np.array_equal(answer.texts, encoder.encode_texts(["đỏ", "blue"]))
    files = [blue, pictures / "red.png", green]
    expected = encoder.encode_images([Image.open(path).convert("RGB") for path in files])
    # What is indexed went through float16.
    assert np.allclose(answer.images, expected, atol=1e-3)
    assert np.allclose(np.linalg.norm(answer.images, axis=1), 1, atol=1e-3)


def test_texts_alone_and_pictures_alone_will_do(client: FlaskClient) -> None:
    texts = client.post(URL, json={"texts": ["red"]}).json
    images = client.post(URL, json={"images": [{"id": 1}]}).json
    assert (len(texts["texts"]), texts["images"]) == (1, [])
    assert (images["texts"], len(images["images"])) == ([], 1)


def test_a_data_url_and_line_breaks_are_read_as_base64(client: FlaskClient, pictures: Path) -> None:
    plain = encoded(pictures / "red.png")
    wrapped = "data:image/png;base64," + "\n".join([plain[:40], plain[40:]])
    answer = client.post(URL, json={"images": [{"base64": plain}, {"base64": wrapped}]}).json
    assert answer["images"][0] == answer["images"][1]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, ""),
        ({"texts": [], "images": []}, 422, ""),
        ({"texts": "red"}, 422, "texts"),
        ({"texts": ["red", " "]}, 422, "texts.1"),
        ({"texts": ["red", "x" * 2001]}, 422, "texts.1"),
        ({"texts": ["red"] * (MOST_TEXTS_TO_EMBED + 1)}, 422, "texts"),
        ({"images": [{"id": 1}] * (MOST_IMAGES_TO_EMBED + 1)}, 422, "images"),
        ({"images": [{"id": 1}, {}]}, 422, "images.1"),
        ({"images": [{"id": 1}, {"base64": "***"}]}, 422, "images.1.base64"),
        ({"images": [{"id": 1}, {"id": 999}]}, 404, "images.1.id"),
        ({"images": [{"id": 1}, {"base64": "cGxhaW4gdGV4dA=="}]}, 415, "images.1.base64"),
        ({"texts": ["red"], "model": "other"}, 422, "model"),
        ({"texts": ["red", "\ud800"]}, 422, "texts.1"),
    ],
)
def test_a_bad_request_names_the_field(
    client: FlaskClient, body: dict, status: int, field: str
) -> None:
    response = client.post(URL, json=body)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert [each["field"] for each in response.json["errors"]] == [field]


def test_a_bad_picture_deep_in_a_query_is_named_where_it_stands(client: FlaskClient) -> None:
    body = {"positive": [{"text": "red"}, {"image": {"base64": "***"}}]}
    response = client.post("/api/v1/search", json=body)
    assert [each["field"] for each in response.json["errors"]] == ["positive.1.image.base64"]
