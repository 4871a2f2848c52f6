"""Every operation of the OpenAPI document, asked what fits its schema and what does not, alone and
one after another: no answer is a server's error, and each is as the document says."""

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field

import pytest
import schemathesis
from flask import Flask, request
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from werkzeug.wsgi import ClosingIterator

from search.engine import SearchEngine
from webui.app import create_app
from webui.config import WebConfig

MAY_BE_REFUSED = ["2xx", "3xx", "400", "401", "403", "404", "409", "413", "415", "422", "429"]
"""What fits the schema can still be wrong: a schema can't say that an id is known, that one of
three fields must be given, or that bytes are a picture."""
CONFIG = {
    "seed": 7,
    "generation": {
        "max-examples": 15,
        "deterministic": True,
        "no-shrink": True,
        "database": "none",
    },
    "checks": {"positive_data_acceptance": {"expected-statuses": MAY_BE_REFUSED}},
}
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class Ran:
    failures: list[str] = field(default_factory=list)
    statuses: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By operation."""
    phases: set[str] = field(default_factory=set)


def ask(app: Flask, path: str | None = None) -> Ran:
    """All operations, or those of one path."""
    ran = Ran()
    config = SchemathesisConfig.from_dict(CONFIG)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", read_to_the_end(app), config=config)
    if path is not None:
        schema = schema.include(path=path)
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            ran.failures.append(f"{event.label}: {event.value}")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            note(event, ran)
    return ran


def read_to_the_end(app: Flask):
    """As a server does: schemathesis leaves an answer's file open."""

    def served(environ, start_response):
        with closing(ClosingIterator(app(environ, start_response))) as body:
            return [b"".join(body)]

    return served


def note(event: events.ScenarioFinished, ran: Ran) -> None:
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        ran.phases.add(event.phase.value.lower())
        if interaction.response is not None:
            operation = recorder.cases[case_id].value.operation.label
            ran.statuses[operation].add(interaction.response.status_code)
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                ran.failures.append(
                    f"{failure.operation}: {failure.title}: {failure.message}\n"
                    f"{check.failure_info.code_sample[:1000]}"
                )


@pytest.fixture
def app(engine: SearchEngine) -> Flask:
    return create_app(engine, WebConfig())


def test_whatever_is_asked_the_answer_is_as_the_document_says(app: Flask) -> None:
    ran = ask(app)
    assert not ran.failures, "\n\n".join(ran.failures[:5])
    assert ran.phases >= set(PHASES)
    document = app.test_client().get("/openapi.json").json
    operations = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    operations.remove("GET /openapi.json")  # from which it has read what there is
    assert set(ran.statuses) >= operations
    never_answered = {
        operation
        for operation in operations
        if not any(status < 300 for status in ran.statuses[operation])
    }
    assert not never_answered


@pytest.mark.parametrize("broken", ["another shape", "a server's error", "another media type"])
def test_an_answer_that_is_not_as_the_document_says_would_be_noticed(
    app: Flask, broken: str
) -> None:
    @app.after_request
    def break_it(response):
        if request.path == "/api/v1/stats":
            if broken == "another shape":
                response.set_data("{}")
            elif broken == "a server's error":
                response.status_code = 500
            else:
                response.mimetype = "text/plain"
        return response

    assert any("GET /api/v1/stats" in failure for failure in ask(app, "/api/v1/stats").failures)
