"""One line in the log for each request; nothing of what was searched for, unless that is asked."""

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Request, Response, g, has_request_context, request

from search.access.callers import current_caller
from search.http.request_ids import request_id

LOGGER = "polyglance.requests"
FACTS = "request_facts"
"""The attribute of a log record that holds the line's facts."""
MOST_QUERY_CHARACTERS = 500
log = logging.getLogger(LOGGER)


def log_requests(app: Flask, *, queries: bool) -> None:
    """queries: whether the words of a search may stand in the log."""

    @app.before_request
    def _begun() -> None:
        g.log_began = time.perf_counter()

    @app.after_request
    def _line(response: Response) -> Response:
        facts = _facts(response)
        if queries:
            facts["query"] = _asked_words(request)
        words = " ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
        log.info("%s", words, extra={FACTS: facts})
        return response


def _facts(response: Response) -> dict[str, Any]:
    """The route's pattern stands for the path; who came with a key is called by its name."""
    caller = current_caller()
    return {
        "request_id": request_id(),
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule is not None else None,
        "status": response.status_code,
        "ms": round((time.perf_counter() - g.log_began) * 1000, 1),
        "bytes": response.content_length,
        "key": caller.name if caller else None,
        "client": request.remote_addr,
    }


def _asked_words(request: Request) -> str | None:
    words = request.args.get("q")
    if words is None and request.mimetype == "application/json":
        body = request.get_json(silent=True)
        words = body.get("query") if isinstance(body, dict) else None
    return words[:MOST_QUERY_CHARACTERS] if isinstance(words, str) else None


class JsonLines(logging.Formatter):
    """Every record as one JSON object on one line, errors with their traces included."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        facts = getattr(record, FACTS, None)
        if facts is not None:
            said.update(facts)
        else:
            said["message"] = record.getMessage()
            if has_request_context():
                said["request_id"] = request_id()
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)
