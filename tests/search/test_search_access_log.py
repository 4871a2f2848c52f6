import json
import logging
from io import StringIO

import pytest

from search.access.config import AccessConfig
from search.access.request_log import LOGGER, JsonLines
from search.engine import SearchEngine
from storage.api_keys import create_key
from webui.app import create_app
from webui.config import WebConfig


@pytest.fixture
def logged(engine: SearchEngine, caplog: pytest.LogCaptureFixture):
    """logged(method, path, …): the lines that one request leaves, as JSON."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())

    def ask(method: str, path: str, *, queries: bool = False, **sent: object) -> list[dict]:
        access = AccessConfig(log_queries=queries)
        client = create_app(engine, WebConfig(access=access)).test_client()
        written.truncate(0)
        written.seek(0)
        with caplog.at_level(logging.INFO):
            client.open(path, method=method, buffered=True, **sent)
        return [json.loads(line) for line in written.getvalue().splitlines()]

    logging.getLogger().addHandler(handler)
    yield ask
    logging.getLogger().removeHandler(handler)


def requests_in(lines: list[dict]) -> list[dict]:
    return [line for line in lines if line["logger"] == LOGGER]


def test_each_request_leaves_one_line_with_its_facts(logged) -> None:
    (line,) = requests_in(
        logged("GET", "/api/v1/images/1?x=1", headers={"X-Request-Id": "from-outside"})
    )
    assert line["request_id"] == "from-outside"
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["route"].startswith("/api/v1/images/<")
    assert line["client"] == "127.0.0.1"
    assert line["bytes"] > 0
    assert line["ms"] >= 0
    assert line["key"] is None
    assert line["time"].endswith("+00:00")


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/images/99", "/api/v1/search"])
def test_refused_requests_leave_a_line_too(logged, path: str) -> None:
    (line,) = requests_in(logged("GET", path))
    assert line["status"] >= 400


def test_a_key_is_called_by_its_name_and_stands_in_no_line(logged, library) -> None:
    key = create_key(library.engine, "shop", "read").key
    lines = logged("GET", "/api/v1/stats", headers={"Authorization": f"Bearer {key}"})
    assert requests_in(lines)[0]["key"] == "shop"
    assert key not in json.dumps(lines)


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/api/v1/search?q=s%C3%A9cret+words", {}),
        ("GET", "/?q=s%C3%A9cret+words", {}),
        ("POST", "/api/v1/search", {"json": {"query": "sécret words"}}),
    ],
)
def test_what_was_searched_for_is_logged_only_where_that_was_asked(
    logged, method: str, path: str, sent: dict
) -> None:
    silent = json.dumps(logged(method, path, **sent), ensure_ascii=False)
    assert "sécret" not in silent
    assert "s%C3%A9cret" not in silent
    (line,) = requests_in(logged(method, path, queries=True, **sent))
    assert line["query"] == "sécret words"


def test_an_error_carries_the_requests_name_and_its_trace_on_one_line(logged, library) -> None:
    catalog = library.data_dir / "catalog.db"
    library.close()
    for path in library.data_dir.glob("catalog.db*"):
        path.unlink()
    catalog.mkdir()
    lines = logged("GET", "/api/v1/stats", headers={"X-Request-Id": "broken-1"})
    errors = [line for line in lines if line["level"] == "ERROR"]
    assert errors
    assert all(line["request_id"] == "broken-1" for line in errors)
    assert any("Traceback" in line.get("trace", "") for line in errors)
