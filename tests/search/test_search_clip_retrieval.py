import base64
import importlib.util
import json
from pathlib import Path

import pytest
from color_encoder import DIM, ColorEncoder
from flask.testing import FlaskClient

from search.client import Client


def as_its_client_asks(**given: object) -> dict[str, object]:
    """The whole body that clip_retrieval.clip_client.ClipClient 2.45 sends, nulls included."""
    return {
        "text": None,
        "image": None,
        "image_url": None,
        "embedding_input": None,
        "deduplicate": True,
        "use_safety_model": True,
        "use_violence_detector": True,
        "indice_name": "pictures",
        "use_mclip": False,
        "aesthetic_score": 9,
        "aesthetic_weight": 0.5,
        "modality": "image",
        "num_images": 3,
        "num_result_ids": 3,
        **given,
    }


def ask(client: FlaskClient, **given: object) -> list[dict]:
    """Sent as `requests.post(data=…)` sends a text: without a content type."""
    response = client.post("/knn-service", data=json.dumps(as_its_client_asks(**given)))
    assert response.status_code == 200, response.text
    assert response.mimetype == "application/json"
    return response.json


def test_a_text_finds_pictures_with_their_metadata(client: FlaskClient) -> None:
    hits = ask(client, text="màu đỏ")
    assert len(hits) == 3
    assert (hits[0]["image_path"], hits[0]["similarity"]) == ("red.png", pytest.approx(1, abs=1e-3))
    assert [hit["similarity"] for hit in hits] == sorted(
        (hit["similarity"] for hit in hits), reverse=True
    )
    with client.get(hits[0]["url"]) as file:
        assert file.mimetype == "image/png"


def test_a_picture_and_an_embedding_find_the_same(client: FlaskClient, pictures: Path) -> None:
    blue = base64.b64encode((pictures / "sky" / "blue.png").read_bytes()).decode()
    embedding = (ColorEncoder().encode_texts(["blue"])[0] * 7).tolist()
    by_picture = ask(client, image=blue)
    by_embedding = ask(client, embedding_input=embedding)
    assert by_picture[0]["image_path"] == by_embedding[0]["image_path"] == "sky/blue.png"
    assert by_embedding[0]["similarity"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("length", [1e-300, 1e-30, 1e30, 1e300])
def test_an_embedding_of_any_length_points_the_same_way(client: FlaskClient, length: float) -> None:
    embedding = (ColorEncoder().encode_texts(["blue"])[0].astype(float) * length).tolist()
    assert ask(client, embedding_input=embedding)[0]["image_path"] == "sky/blue.png"


def test_hits_beyond_num_images_come_by_id_alone(client: FlaskClient) -> None:
    hits = ask(client, text="red", num_images=2, num_result_ids=4)
    assert [set(hit) == {"id", "similarity"} for hit in hits] == [False, False, True, True]


def test_an_index_is_a_collection_or_all_of_them(
    client: FlaskClient, index, pictures: Path
) -> None:
    index(pictures / "sky", collection="heaven")
    assert client.get("/indices-list").json == ["all", "heaven", "pictures"]
    embedding = ColorEncoder().encode_texts(["white"])[0].tolist()
    for query in ({"text": "white"}, {"embedding_input": embedding}):
        found = {
            name: {hit["id"] for hit in ask(client, indice_name=name, num_result_ids=9, **query)}
            for name in ("all", "heaven", "pictures")
        }
        assert len(found["all"]) == 6
        assert found["heaven"] < found["all"]
        body = {"indice_name": "heaven", "ids": sorted(found["all"])}
        told = client.post("/metadata", json=body).json
        assert {each["id"] for each in told} == found["heaven"]


def test_metadata_comes_in_the_order_asked_without_what_is_unknown(client: FlaskClient) -> None:
    body = json.dumps({"indice_name": "pictures", "ids": [3, 999, 1]})
    answer = client.post("/metadata", data=body).json
    assert [each["id"] for each in answer] == [3, 1]
    paths = [client.get(f"/api/v1/images/{image_id}").json["path"] for image_id in (3, 1)]
    assert [each["metadata"]["image_path"] for each in answer] == paths
    assert client.post("/metadata", data='{"ids": []}').json == []


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({}, 422, ""),
        ({"text": ""}, 422, ""),
        ({"text": "x" * 3000}, 422, "text"),
        ({"text": " "}, 422, "text"),
        ({"text": "red", "indice_name": "laion5B"}, 422, "indice_name"),
        ({"text": "red", "modality": "text"}, 422, "modality"),
        ({"text": "red", "num_images": 0}, 422, "num_images"),
        ({"text": "red", "num_images": 5000}, 422, "num_images"),
        ({"image": "***"}, 422, "image"),
        ({"image_url": "http://127.0.0.1/x.png"}, 422, "image_url"),
        ({"embedding_input": [1.0, 2.0]}, 422, "embedding_input"),
        ({"embedding_input": [0.0] * DIM}, 422, "embedding_input"),
        ({"text": 0}, 422, "text"),
        ({"embedding_input": [float("nan")] * DIM}, 422, "embedding_input.0"),
    ],
)
def test_a_bad_request_names_the_field(
    client: FlaskClient, given: dict, status: int, field: str
) -> None:
    response = client.post("/knn-service", data=json.dumps(as_its_client_asks(**given)))
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert field in [each["field"] for each in response.json["errors"]]


@pytest.mark.parametrize("body", ["", "[1]", "{", "[" * 100_000, '{"a":' * 100_000, '"\\ud800"'])
def test_what_is_no_json_object_is_refused(client: FlaskClient, body: str) -> None:
    for path in ("/knn-service", "/metadata"):
        response = client.post(path, data=body)
        assert response.status_code == 400
        assert response.mimetype == "application/problem+json"


@pytest.mark.skipif(
    importlib.util.find_spec("clip_retrieval") is None or not importlib.util.find_spec("requests"),
    reason="clip-retrieval is not installed: pip install --no-deps clip-retrieval requests",
)
def test_its_own_client_works_against_the_real_server(server_url: str, pictures: Path) -> None:
    clip_client = clip_client_alone()
    remote = clip_client.ClipClient(
        f"{server_url}/knn-service", "all", num_images=2, aesthetic_weight=0.1
    )
    red = Client(server_url).search("red").hits[0]
    assert remote.query(text="đỏ")[0]["id"] == red.id
    assert remote.query(image=str(pictures / "red.png"))[0]["id"] == red.id
    embedding = ColorEncoder().encode_texts(["red"])[0].tolist()
    hits = remote.query(embedding_input=embedding)
    assert [len(hits), hits[0]["id"]] == [2, red.id]


def clip_client_alone():
    """Its one module: the package itself imports a second copy of half of what we use."""
    package = importlib.util.find_spec("clip_retrieval")
    path = Path(package.submodule_search_locations[0]) / "clip_client.py"
    spec = importlib.util.spec_from_file_location("clip_client_alone", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
