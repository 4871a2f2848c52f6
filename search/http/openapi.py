"""The OpenAPI 3.1 document, made of the route table and the schemas that validate."""

import re
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, json
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from search.access.sessions import COOKIE
from search.config import SearchConfig
from search.http.routes import ROUTES, Route, Schema
from search.schemas import Problem

REF = "#/components/schemas/{model}"
NOT_READY = (503,)
REFUSED = (401, 403, 429)
"""What access control answers, wherever a key may be needed."""
SECURITY_SCHEMES: Schema = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "polyglance keys create"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}
"""A key in one of these, while the library has keys; none is needed while it has none."""

DESCRIPTION = """Find pictures by what is in them, asked for in any language. Everything under \
/api/v1 speaks JSON; every error is a problem (RFC 9457) that names the fields to blame."""

FORM_PARTS: Schema = {
    "image": {"type": "string", "contentMediaType": "application/octet-stream"},
    "request": {"type": "string", "contentMediaType": "application/json"},
    "query": {"type": "string"},
    "limit": {"type": "integer", "minimum": 1},
    "cursor": {"type": "string"},
    "min_relevance": {"type": "number", "minimum": 0, "maximum": 1},
    "sort": {"type": "string", "enum": ["relevance", "date"]},
    "diversify": {"type": "boolean"},
    "read_negation": {"type": "boolean"},
    "filters": {"type": "string", "contentMediaType": "application/json"},
}


def make_blueprint(config: SearchConfig) -> Blueprint:
    openapi = Blueprint("openapi", __name__)
    # In the order of writing, which is the order of reading.
    text = json.dumps(document(config), sort_keys=False)

    @openapi.get("/openapi.json")
    def openapi_json() -> Response:
        return Response(text, mimetype="application/json")

    return openapi


def document(config: SearchConfig) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, config)
    made = _schemas()
    made["SearchRequest"]["properties"]["limit"]["maximum"] = config.max_limit
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Polyglance",
            "version": version("polyglance"),
            "description": DESCRIPTION,
        },
        "paths": paths,
        "components": {"schemas": made, "securitySchemes": SECURITY_SCHEMES},
    }


def _schemas() -> dict[str, Schema]:
    answers = {route.answer for route in ROUTES if not isinstance(route.answer, str)} | {Problem}
    bodies = {route.body for route in ROUTES if route.body is not None}
    wanted = [(model, "serialization") for model in sorted(answers, key=lambda each: each.__name__)]
    wanted += [(model, "validation") for model in sorted(bodies, key=lambda each: each.__name__)]
    _, definitions = models_json_schema(wanted, ref_template=REF)  # type: ignore[arg-type]
    found: dict[str, Schema] = definitions["$defs"]
    return found


def _operation(route: Route, config: SearchConfig) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.group],
        "parameters": [*_path_parameters(route), *_query_parameters(route, config)],
        "responses": _responses(route),
        "security": []
        if route.scope == "open"
        else [{}, *({each: []} for each in SECURITY_SCHEMES)],
    }
    if route.scope == "admin":
        operation["description"] = "Needs a key of the scope admin, while the library has keys."
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(route, route.body)}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    whole = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    return [
        {"name": name, "in": "path", "required": True, "schema": whole}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: Route, config: SearchConfig) -> list[dict[str, Any]]:
    parameters = []
    for query in route.query:
        schema = dict(query.schema)
        described = query.description or schema.pop("description", "")
        if query.name == "limit":
            schema["maximum"] = config.max_limit
        parameter = {"name": query.name, "in": "query", "required": False, "schema": schema}
        parameters.append({**parameter, "description": described} if described else parameter)
    return parameters


def _body(route: Route, model: type[BaseModel]) -> dict[str, Any]:
    as_json: dict[str, Any] = {"schema": _ref(model)}
    if route.example is not None:
        as_json["example"] = route.example
    content = {"application/json": as_json}
    if route.takes_file:
        form = {"type": "object", "properties": FORM_PARTS}
        content["multipart/form-data"] = {"schema": form}
    return content


def _responses(route: Route) -> dict[str, Any]:
    if isinstance(route.answer, str):
        content: dict[str, Any] = {route.answer: {}}
    else:
        content = {"application/json": {"schema": _ref(route.answer)}}
    responses: dict[str, Any] = {"200": {"description": "Done", "content": content}}
    refused = () if route.scope == "open" else REFUSED
    for status in sorted({*route.problems, *refused, *NOT_READY}):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": _ref(Problem)}},
        }
    return responses


def _ref(model: type[BaseModel]) -> Schema:
    return {"$ref": REF.format(model=model.__name__)}
