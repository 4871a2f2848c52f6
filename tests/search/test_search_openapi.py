import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

OURS = {"api", "openapi", "health", "clip_retrieval", "metrics"}
"""The blueprints that are no pages."""
EVERYTHING_ELSE = "/api/v1/{anything}"
"""Answers 404 in the API's own form; nothing to document."""


@pytest.fixture
def document(client: FlaskClient) -> dict:
    return client.get("/openapi.json").json


def test_the_document_is_valid_openapi(document: dict) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_route_is_documented_and_every_documented_one_exists(
    client: FlaskClient, document: dict
) -> None:
    registered = {
        (method.lower(), re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in client.application.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in OURS
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    registered = {each for each in registered if each[1] != EVERYTHING_ELSE}
    documented = {
        (method, path) for path, methods in document["paths"].items() for method in methods
    }
    assert documented == registered


CALLS = [
    ("get", "/api/v1/search", "/api/v1/search?q=red&limit=2&not=blue&min_width=3", None, 200),
    ("get", "/api/v1/search", "/api/v1/search?limit=0", None, 422),
    ("post", "/api/v1/search", None, {"query": "đỏ", "filters": {"path": "sky/*"}}, 200),
    ("post", "/api/v1/search", None, {"image": {"id": 999}}, 404),
    ("post", "/api/v1/search", None, {"image": {"base64": "IA=="}}, 415),
    ("post", "/api/v1/classify", None, {"image": {"id": 1}, "labels": ["a", "b"]}, 200),
    ("post", "/api/v1/classify", None, {"image": {"id": 1}, "labels": []}, 422),
    ("post", "/api/v1/embeddings", None, {"texts": ["a"], "images": [{"id": 1}]}, 200),
    ("post", "/api/v1/embeddings", None, {}, 422),
    ("get", "/api/v1/images", "/api/v1/images?limit=2", None, 200),
    ("get", "/api/v1/images", "/api/v1/images?limit=x", None, 400),
    ("get", "/api/v1/images/{image_id}", "/api/v1/images/1", None, 200),
    ("get", "/api/v1/images/{image_id}", "/api/v1/images/99", None, 404),
    ("get", "/api/v1/images/{image_id}/similar", "/api/v1/images/1/similar?limit=2", None, 200),
    ("get", "/api/v1/images/{image_id}/thumbnail", "/api/v1/images/1/thumbnail?size=7", None, 422),
    ("get", "/api/v1/collections", None, None, 200),
    ("get", "/api/v1/jobs", None, None, 200),
    ("get", "/api/v1/jobs/{job_id}", "/api/v1/jobs/1", None, 200),
    ("get", "/api/v1/stats", None, None, 200),
    ("get", "/healthz", None, None, 200),
    ("get", "/readyz", None, None, 200),
    ("get", "/indices-list", None, None, 200),
    ("post", "/knn-service", None, {"text": "red", "num_images": 2, "num_result_ids": 3}, 200),
    ("post", "/knn-service", None, {"text": "red", "modality": "text"}, 422),
    ("post", "/metadata", None, {"ids": [1, 99]}, 200),
    ("post", "/metadata", None, {}, 422),
]


@pytest.mark.parametrize(("method", "path", "url", "body", "status"), CALLS)
def test_real_answers_are_as_the_document_says(
    client: FlaskClient, document: dict, method: str, path: str, url: str, body: dict, status: int
) -> None:
    response = client.open(url or path, method=method.upper(), json=body)
    assert response.status_code == status, response.text
    operation = document["paths"][path][method]
    content = operation["responses"][str(status)]["content"]
    schema = content[response.mimetype]["schema"]
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole).validate(response.json)


def test_what_validates_refuses_just_what_the_document_refuses(document: dict) -> None:
    schema = {"$ref": "#/components/schemas/SearchRequest", "components": document["components"]}
    says = Draft202012Validator(schema)
    assert says.is_valid({"query": "red", "limit": 1000})
    for wrong in ({"query": "red", "limit": 1001}, {"query": ""}, {"query": "x", "nonsense": 1}):
        assert not says.is_valid(wrong)


def test_the_examples_are_what_their_schemas_ask_for(document: dict) -> None:
    examples = [
        body["content"]["application/json"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if (body := operation.get("requestBody"))
    ]
    assert len(examples) >= 3
    for each in examples:
        whole = {**each["schema"], "components": document["components"]}
        Draft202012Validator(whole).validate(each["example"])


def test_the_documented_parts_of_a_form_are_understood(
    client: FlaskClient, document: dict, pictures: Path
) -> None:
    content = document["paths"]["/api/v1/search"]["post"]["requestBody"]["content"]
    parts = set(content["multipart/form-data"]["schema"]["properties"])
    plain = {"query", "read_negation", "limit", "cursor", "min_relevance", "sort", "diversify"}
    assert parts == {"image", "request", "filters", *plain}
    with (pictures / "red.png").open("rb") as image:
        form = {"limit": "3", "min_relevance": "0", "filters": '{"path": "sky/*"}', "image": image}
        hits = client.post("/api/v1/search", data=form).json["hits"]
    assert [hit["path"].partition("/")[0] for hit in hits] == ["sky", "sky"]


def test_documented_parameters_of_a_search_by_url_are_all_known(
    client: FlaskClient, document: dict
) -> None:
    samples = {"string": "2024", "integer": "1", "number": "0", "array": "x", "boolean": "true"}
    for parameter in document["paths"]["/api/v1/search"]["get"]["parameters"]:
        schema = parameter["schema"]
        value = schema["enum"][0] if "enum" in schema else samples[schema["type"]]
        if parameter["name"] == "cursor":
            value = client.get("/api/v1/search?q=red&limit=1").json["next_cursor"]
        query = {"q": "red", parameter["name"]: value}
        response = client.get("/api/v1/search", query_string=query)
        assert response.status_code == 200, (parameter, response.text)


def test_base64_is_told_in_the_schema(document: dict) -> None:
    sent = document["components"]["schemas"]["ImageInput"]["properties"]["base64"]
    assert "contentEncoding" in str(sent)


def test_the_page_for_people_names_every_call_and_every_schema(
    client: FlaskClient, document: dict
) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    ids = re.findall(r'\sid="([^"]+)"', page.text)
    targets = set(ids)
    assert len(ids) == len(targets)
    calls = {
        f"call-{operation['operationId']}"
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    assert calls | set(document["components"]["schemas"]) <= targets
    linked = set(re.findall(r'href="#([^"]+)"', page.text))
    assert linked <= targets
    assert "con mèo trên bàn" in page.text


def test_the_page_for_people_needs_no_script_and_nothing_from_elsewhere(
    client: FlaskClient,
) -> None:
    text = client.get("/docs").text
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text)
    assert not re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<script>", text)
    sheet = re.search(r'href="([^"]+api_docs\.css[^"]*)"', text)
    assert sheet is not None
    with client.get(sheet[1]) as response:
        assert response.mimetype == "text/css"


def test_a_wrong_method_is_answered_with_a_problem_wherever_programs_call(
    client: FlaskClient, document: dict
) -> None:
    for path in document["paths"]:
        response = client.delete(path.replace("{image_id}", "1").replace("{job_id}", "1"))
        assert response.status_code in (404, 405), path
        assert response.mimetype == "application/problem+json", path
