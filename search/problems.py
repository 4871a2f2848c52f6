"""Errors → RFC 9457 problem+json. The one file that chooses HTTP codes."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, json
from werkzeug.exceptions import HTTPException

from encoders import EncoderError
from search.errors import FieldError, ImageUnknown, PictureRejected, SearchError
from search.request_ids import request_id
from storage.errors import LibraryError

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger(__name__)

NOT_A_PICTURE_WE_READ = {"empty", "not_an_image", "unsupported_format", "truncated", "corrupt"}


def status_of(error: SearchError) -> HTTPStatus:
    if isinstance(error, ImageUnknown):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, PictureRejected):
        if error.kind in NOT_A_PICTURE_WE_READ:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return HTTPStatus.UNPROCESSABLE_ENTITY


def problem(status: HTTPStatus | int, detail: str, errors: Sequence[FieldError] = ()) -> Response:
    status = HTTPStatus(status)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    if errors:
        body["errors"] = [{"field": each.field, "message": each.message} for each in errors]
    response = Response(json.dumps(body), status=status, mimetype=MEDIA_TYPE)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "5"
    return response


def register_problems(blueprint: Blueprint) -> None:
    """Every error of the blueprint's views is answered as a problem."""

    @blueprint.errorhandler(SearchError)
    def _search_error(error: SearchError) -> Response:
        return problem(status_of(error), str(error), error.errors)

    @blueprint.errorhandler(HTTPException)
    def _http_error(error: HTTPException) -> Response:
        return problem(error.code or 500, error.description or error.name)

    @blueprint.errorhandler(LibraryError)
    @blueprint.errorhandler(EncoderError)
    def _not_ready(error: Exception) -> Response:
        log.error("request %s: library or encoder failed", request_id(), exc_info=error)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @blueprint.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        log.error("request %s failed", request_id(), exc_info=error)
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "This is a fault of the server, not of the request; its log says more.",
        )
