import base64
import io
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from flask.testing import FlaskClient

from search import schemas


def upload_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_search_by_url_answers_in_the_contracts_shape(client: FlaskClient) -> None:
    response = client.get("/api/v1/search", query_string={"q": "màu đỏ", "limit": 2})
    assert response.status_code == 200
    answer = schemas.SearchAnswer.model_validate(response.json)
    assert answer.hits[0].path == "red.png"
    assert answer.model == "colors"
    assert answer.total == 6
    assert answer.hits[0].page_url == f"/pictures/{answer.hits[0].id}"
    assert set(response.json) == {
        "hits",
        "next_cursor",
        "total",
        "exact",
        "nothing_relevant",
        "model",
        "language",
        "negations",
        "searched_text",
        "took_ms",
        "warnings",
    }


def test_next_cursor_leads_through_all_pages(client: FlaskClient) -> None:
    seen, cursor = [], None
    while True:
        body = {"query": "red", "limit": 4, "cursor": cursor}
        answer = client.post("/api/v1/search", json=body).json
        seen += [hit["id"] for hit in answer["hits"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 6


def test_a_picture_can_be_sent_as_base64_or_as_a_file_part(
    client: FlaskClient, pictures: Path
) -> None:
    path = pictures / "sky" / "blue.png"
    sent = client.post("/api/v1/search", json={"image": {"base64": upload_of(path)}, "limit": 1})
    data = {"image": (io.BytesIO(path.read_bytes()), "blue.png"), "limit": "1"}
    part = client.post("/api/v1/search", data=data)
    assert sent.json["hits"][0]["path"] == part.json["hits"][0]["path"] == "sky/blue.png"


def test_text_and_picture_count_together(client: FlaskClient, pictures: Path) -> None:
    data = {
        "image": (io.BytesIO((pictures / "red.png").read_bytes()), "red.png"),
        "request": '{"positive": [{"text": "blue", "weight": 3}], "limit": 2}',
    }
    hits = client.post("/api/v1/search", data=data).json["hits"]
    assert [hit["path"] for hit in hits] == ["sky/blue.png", "red.png"]


def test_a_picture_has_its_facts_file_and_thumbnail(client: FlaskClient, pictures: Path) -> None:
    hit = client.get("/api/v1/search?q=red&limit=1").json["hits"][0]
    facts = schemas.Picture.model_validate(client.get(f"/api/v1/images/{hit['id']}").json)
    assert (facts.width, facts.height, facts.format) == (64, 48, "png")
    assert [each.path for each in facts.locations] == ["red.png"]
    with client.get(hit["image_url"]) as file:
        assert file.data == (pictures / "red.png").read_bytes()
        assert file.mimetype == "image/png"
    thumbnail = client.get(hit["thumbnail_url"])
    assert thumbnail.mimetype == "image/webp"
    assert "immutable" in thumbnail.headers["Cache-Control"]
    again = client.get(hit["thumbnail_url"], headers={"If-None-Match": thumbnail.headers["ETag"]})
    assert again.status_code == 304


def test_a_thumbnail_outlives_its_file(client: FlaskClient, pictures: Path) -> None:
    hit = client.get("/api/v1/search?q=red&limit=1").json["hits"][0]
    (pictures / "red.png").unlink()
    assert client.get(hit["thumbnail_url"]).status_code == 200
    assert client.get(hit["thumbnail_url"], query_string={"size": "1024"}).status_code == 200
    gone = client.get(hit["image_url"])
    assert gone.status_code == 404
    assert "out of reach" in gone.json["detail"]


def test_a_link_that_leads_out_of_its_folder_is_not_served(
    client: FlaskClient, index, pictures: Path
) -> None:
    outside = draw_picture(pictures.parent / "outside.png", (1, 9, 77))
    (pictures / "inside.png").symlink_to(outside)
    index(pictures)
    [inside] = [
        each for each in client.get("/api/v1/images").json["images"] if each["path"] == "inside.png"
    ]
    assert client.get(inside["image_url"]).status_code == 404


def test_similar_pictures_answer_like_a_search(client: FlaskClient) -> None:
    hit = client.get("/api/v1/search?q=red&limit=1").json["hits"][0]
    answer = client.get(f"/api/v1/images/{hit['id']}/similar?limit=3")
    parsed = schemas.SearchAnswer.model_validate(answer.json)
    assert len(parsed.hits) == 3
    assert hit["id"] not in [each.id for each in parsed.hits]


def test_all_pictures_can_be_listed_page_by_page(client: FlaskClient) -> None:
    first = client.get("/api/v1/images?limit=4").json
    second = client.get(f"/api/v1/images?limit=4&cursor={first['next_cursor']}").json
    ids = [each["id"] for page in (first, second) for each in page["images"]]
    assert len(ids) == len(set(ids)) == 6
    assert second["next_cursor"] is None


def test_stats_collections_and_jobs_are_told(client: FlaskClient) -> None:
    stats = schemas.Stats.model_validate(client.get("/api/v1/stats").json)
    assert (stats.pictures, stats.searchable, stats.model) == (6, 6, "colors")
    assert client.get("/api/v1/collections").json == {
        "collections": [{"name": "pictures", "pictures": 6}]
    }
    [job] = client.get("/api/v1/jobs").json["jobs"]
    assert job["counts"]["embedded"] == 6
    assert client.get(f"/api/v1/jobs/{job['id']}").json["failures"] == []


def test_a_broken_file_is_told_with_its_job(client: FlaskClient, index, pictures: Path) -> None:
    (pictures / "broken.jpg").write_bytes(b"nothing of the sort")
    report = index(pictures)
    [failure] = client.get(f"/api/v1/jobs/{report.job}").json["failures"]
    assert failure["path"] == "broken.jpg"
    assert failure["kind"] == "not_an_image"


BAD_BODIES = [
    ({}, 422, ""),
    ({"query": "   "}, 422, "query"),
    ({"query": ""}, 422, "query"),
    ({"query": "x" * 2001}, 422, "query"),
    ({"query": 7}, 422, "query"),
    ({"query": "red", "limit": 0}, 422, "limit"),
    ({"query": "red", "limit": 1001}, 422, "limit"),
    ({"query": "red", "limit": 10**400}, 422, "limit"),
    ({"query": "red", "cursor": "nonsense"}, 422, "cursor"),
    ({"query": "red", "cursor": "W10"}, 422, "cursor"),
    ({"query": "red", "min_relevance": 2}, 422, "min_relevance"),
    ({"query": "red", "colour": "red"}, 422, "colour"),
    ({"query": "red", "filters": {"orientation": "askew"}}, 422, "filters.orientation"),
    ({"query": "red", "filters": {"near": {"lat": 91, "lon": 0}}}, 422, "filters.near.lat"),
    ({"query": "red", "filters": {"taken_after": "yesterday"}}, 422, "filters.taken_after"),
    ({"query": "red", "filters": {"min_width": 10**30}}, 422, "filters.min_width"),
    ({"positive": [{"text": "red", "weight": -1}]}, 422, "positive.0.weight"),
    ({"positive": [{}]}, 422, "positive.0"),
    ({"image": {}}, 422, "image"),
    ({"image": {"id": 0}}, 422, "image.id"),
    ({"image": {"base64": "***"}}, 422, "image.base64"),
]


@pytest.mark.parametrize(("body", "status", "field"), BAD_BODIES)
def test_bad_input_is_answered_with_a_problem_that_names_the_field(
    client: FlaskClient, body: dict, status: int, field: str
) -> None:
    response = client.post("/api/v1/search", json=body)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert response.json["status"] == status
    assert field in [each["field"] for each in response.json["errors"]]


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (("get", "/api/v1/images/999", {}), 404),
        (("get", "/api/v1/images/0/file", {}), 404),
        (("get", f"/api/v1/images/{10**30}", {}), 404),
        (("get", "/api/v1/images/../../etc/passwd", {}), 404),
        (("get", "/api/v1/images/1/thumbnail?size=7", {}), 422),
        (("get", "/api/v1/images?limit=x", {}), 400),
        (("get", "/api/v1/images?limit=5000", {}), 422),
        (("get", "/api/v1/jobs/77", {}), 404),
        (("get", "/api/v1/nothing", {}), 404),
        (("get", "/api/v1/search", {}), 422),
        (("get", "/api/v1/search?q=red&nonsense=1", {}), 422),
        (("post", "/api/v1/search", {"data": "{", "content_type": "application/json"}), 400),
        (("post", "/api/v1/search", {"data": "[1]", "content_type": "application/json"}), 400),
        (("post", "/api/v1/search", {"data": "q=red", "content_type": "text/plain"}), 415),
        (("post", "/api/v1/search", {"json": {"image": {"id": 12345}}}), 404),
        (("delete", "/api/v1/search", {}), 405),
    ],
)
def test_every_error_is_a_problem_and_none_is_ours(
    client: FlaskClient, call: tuple, status: int
) -> None:
    method, url, options = call
    response = getattr(client, method)(url, **options)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(response.json)
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"plain text", 415),
        (b"", 415),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, 415),
        (b"\0" * 250_000, 413),
    ],
)
def test_an_upload_that_is_no_picture_is_refused(
    client: FlaskClient, content: bytes, status: int
) -> None:
    response = client.post("/api/v1/search", data={"image": (io.BytesIO(content), "x.png")})
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"


def test_a_long_query_carries_the_encoders_warning(client: FlaskClient) -> None:
    answer = client.get("/api/v1/search", query_string={"q": "red " * 70}).json
    assert "words" in answer["warnings"][0]
