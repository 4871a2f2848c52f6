"""HTTP requests → validated search requests."""

import base64
from typing import Any

from flask import Request, json
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from search.errors import FieldError, InvalidRequest
from search.schemas import SearchRequest, parse_request

LISTS = ("collection", "format")
FILTER_FIELDS = (
    "path",
    "taken_after",
    "taken_before",
    "camera",
    "orientation",
    "min_width",
    "min_height",
)
PLAIN_FIELDS = ("limit", "cursor", "min_relevance", "sort", "diversify")
NEGATION = "negation"
"""`read_negation`, by URL."""


def search_request_from_args(args: MultiDict[str, str]) -> SearchRequest:
    """`q`, `not` (repeated), `negation`, the plain fields, and the filters by name."""
    known = {"q", "not", NEGATION, *PLAIN_FIELDS, *FILTER_FIELDS, *LISTS}
    unknown = sorted(set(args) - known)
    if unknown:
        raise InvalidRequest(*(FieldError(name, "is not a parameter") for name in unknown))
    filters: dict[str, Any] = {name: args[name] for name in FILTER_FIELDS if args.get(name)}
    filters.update({name: args.getlist(name) for name in LISTS if args.get(name)})
    fields: dict[str, Any] = {name: args[name] for name in PLAIN_FIELDS if args.get(name)}
    if args.get(NEGATION):
        fields["read_negation"] = args[NEGATION]
    fields["query"] = args.get("q")
    fields["negative"] = [{"text": text} for text in args.getlist("not")]
    fields["filters"] = filters
    return parse_request(SearchRequest, fields)


def search_request(request: Request) -> SearchRequest:
    """A JSON body; or multipart, with the picture as the part `image` and the rest either as a
    JSON part `request` or as plain parts."""
    if request.mimetype == "application/json":
        return parse_request(SearchRequest, json_object(request))
    if request.mimetype == "multipart/form-data":
        return parse_request(SearchRequest, _from_form(request))
    raise UnsupportedMediaType("Send application/json or multipart/form-data.")


def json_object(request: Request) -> dict[str, Any]:
    """The body of a JSON request. Raises BadRequest, UnsupportedMediaType."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send application/json.")
    return json_object_of_any_type(request)


def json_object_of_any_type(request: Request) -> dict[str, Any]:
    """The body as JSON, whatever its Content-Type says. Raises BadRequest."""
    return _object(request.get_data())


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise BadRequest("The body is JSON, but nested too deeply.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body is JSON, but not an object.")
    return value


def _from_form(request: Request) -> dict[str, Any]:
    form = request.form
    fields = _object(form["request"]) if "request" in form else {}
    for name in ("query", "read_negation", *PLAIN_FIELDS):
        if form.get(name):
            fields[name] = form[name]
    if "filters" in form:
        fields["filters"] = _object(form["filters"])
    upload = request.files.get("image")
    if upload is not None:
        fields["image"] = {"base64": base64.b64encode(upload.read()).decode("ascii")}
    return fields
