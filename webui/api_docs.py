"""The page for those who write programs: the OpenAPI document, made readable."""

import json
from typing import Any

from flask import Blueprint, render_template, url_for
from markupsafe import Markup, escape

from search.config import SearchConfig
from search.http import openapi

LIMITS = {
    "minimum": "≥",
    "maximum": "≤",
    "exclusiveMinimum": ">",
    "exclusiveMaximum": "<",
    "minLength": "characters ≥",
    "maxLength": "characters ≤",
    "minItems": "items ≥",
    "maxItems": "items ≤",
}


def make_api_docs(config: SearchConfig) -> Blueprint:
    docs = Blueprint("api_docs", __name__)
    document = openapi.document(config)

    @docs.get("/docs")
    def api_docs() -> str:
        return render_template(
            "api_docs.html",
            document=document,
            type_of=type_of,
            shown_json=shown_json,
            document_url=url_for("openapi.openapi_json"),
        )

    return docs


def shown_json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def type_of(schema: dict[str, Any]) -> Markup:
    """What may stand there, in a few words; the document's own schemas as links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return Markup(" or ").join(type_of(each) for each in schema["anyOf"])
    if "enum" in schema:
        return escape(" | ".join(str(each) for each in schema["enum"]))
    if "const" in schema:
        return escape(schema["const"])
    limits = ", ".join(
        f"{sign} {schema[name]}" for name, sign in LIMITS.items() if schema.get(name) is not None
    )
    limits = f" ({limits})" if limits else ""
    if schema.get("type") == "array":
        return Markup("list of {}{}").format(type_of(schema.get("items", {})), limits)
    return Markup("{}{}").format(schema.get("type", "anything"), limits)
