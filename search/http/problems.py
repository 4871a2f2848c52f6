"""Errors → RFC 9457 problem+json. The one file that chooses HTTP codes."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, json
from werkzeug.exceptions import HTTPException

from encoders import EncoderError
from search.access.errors import (
    CrossSite,
    HostUnknown,
    KeyRequired,
    ScopeTooNarrow,
    TooManyRequests,
)
from search.errors import (
    DecodersUnavailable,
    FieldError,
    ImageUnknown,
    PictureRejected,
    SearchError,
)
from search.http.request_ids import request_id
from storage.errors import LibraryError

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
"""When to come back to a server that is not ready."""

REFUSALS: Mapping[type[SearchError], HTTPStatus] = {
    ImageUnknown: HTTPStatus.NOT_FOUND,
    DecodersUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    KeyRequired: HTTPStatus.UNAUTHORIZED,
    ScopeTooNarrow: HTTPStatus.FORBIDDEN,
    CrossSite: HTTPStatus.FORBIDDEN,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    HostUnknown: HTTPStatus.MISDIRECTED_REQUEST,
}
NOT_A_PICTURE_WE_READ = {"empty", "not_an_image", "unsupported_format", "truncated", "corrupt"}
NOT_DECODED = {"decoder_crashed", "decoder_failed", "too_slow"}


def status_of(error: SearchError) -> HTTPStatus:
    if isinstance(error, PictureRejected):
        if error.kind in NOT_A_PICTURE_WE_READ:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if error.kind in NOT_DECODED:
            return HTTPStatus.UNPROCESSABLE_ENTITY
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return REFUSALS.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY)


def headers_of(error: SearchError | HTTPException) -> dict[str, str]:
    """What a client needs beside the code: how to come in, when to come back, what is allowed."""
    if isinstance(error, KeyRequired):
        return {"WWW-Authenticate": 'Bearer realm="Polyglance"'}
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, HTTPException):
        wanted = ("Allow", "Retry-After")
        return {name: value for name, value in error.get_headers() if name in wanted}
    return {}


def problem(
    status: HTTPStatus | int,
    detail: str,
    errors: Sequence[FieldError] = (),
    more: Mapping[str, Any] | None = None,
) -> Response:
    """more: further members, which RFC 9457 allows."""
    status = HTTPStatus(status)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    if errors:
        body["errors"] = [{"field": each.field, "message": each.message} for each in errors]
    body.update(more or {})
    response = Response(json.dumps(body), status=status, mimetype=MEDIA_TYPE)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def not_ready(detail: str, checks: Mapping[str, bool]) -> Response:
    """checks: what is in order and what is not."""
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, more={"checks": checks})


def problem_of(error: SearchError | HTTPException) -> Response:
    if isinstance(error, SearchError):
        response = problem(status_of(error), str(error), error.errors)
    else:
        response = problem(error.code or 500, error.description or error.name)
    response.headers.update(headers_of(error))
    return response


def register_problems(blueprint: Blueprint) -> None:
    """Every error of the blueprint's views is answered as a problem."""

    @blueprint.errorhandler(SearchError)
    @blueprint.errorhandler(HTTPException)
    def _refused(error: SearchError | HTTPException) -> Response:
        return problem_of(error)

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
