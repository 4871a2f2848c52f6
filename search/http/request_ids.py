"""A name for each request: in its answer, and in the log where it failed."""

import re
import secrets

from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""No spaces and nothing that could break a line of the log."""


def request_id() -> str:
    """The caller's own name for the request where it is sane, else one made up."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if SANE.fullmatch(given) else secrets.token_hex(8)
    known: str = g.request_id
    return known


def add_request_ids(app: Flask) -> None:
    @app.after_request
    def _named(response: Response) -> Response:
        response.headers[HEADER] = request_id()
        return response
