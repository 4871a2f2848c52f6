import logging
import re
from collections.abc import Sequence

import pytest
from color_encoder import ColorEncoder
from flask.testing import FlaskClient

from encoders import Embeddings, EncoderError
from encoders.selftest import NpzGoldenStore, run_self_test
from search import schemas
from search.config import SearchConfig
from search.engine import SearchEngine
from storage.library import Library
from webui.app import create_app
from webui.config import WebConfig


class FailingEncoder(ColorEncoder):
    """Loses its device, as an encoder on a GPU can, and may find it again."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = False

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        if self.lost:
            raise EncoderError("the device is gone")
        return super().encode_texts(texts)


@pytest.fixture
def failing(library: Library, index, pictures) -> tuple[FailingEncoder, FlaskClient]:
    index(pictures)
    encoder = FailingEncoder()
    app = create_app(SearchEngine(library, encoder, SearchConfig()), WebConfig())
    return encoder, app.test_client()


def test_a_server_that_can_answer_is_alive_and_ready(client: FlaskClient) -> None:
    alive = client.get("/healthz")
    assert alive.json == {"status": "alive"}
    ready = schemas.Ready.model_validate(client.get("/readyz").json)
    assert (ready.model, ready.searchable) == ("colors", 6)
    assert set(ready.checks.model_dump().values()) == {True}
    assert alive.headers["Cache-Control"] == "no-store"


def test_a_server_without_its_model_is_alive_and_not_ready(
    failing: tuple[FailingEncoder, FlaskClient],
) -> None:
    encoder, client = failing
    encoder.lost = True
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.mimetype == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0
    assert response.json["checks"] == {
        "model_loaded": False,
        "index_loaded": True,
        "self_test_passed": False,
    }
    assert client.get("/healthz").status_code == 200
    encoder.lost = False
    assert client.get("/readyz").status_code == 200


def test_a_server_without_its_library_is_alive_and_not_ready(
    client: FlaskClient, library: Library
) -> None:
    catalog = library.data_dir / "catalog.db"
    library.close()
    for path in library.data_dir.glob("catalog.db*"):
        path.unlink()
    catalog.mkdir()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "Retry-After" in response.headers
    assert response.json["checks"]["index_loaded"] is False
    assert response.json["checks"]["model_loaded"] is True
    assert client.get("/healthz").status_code == 200


def test_a_server_whose_model_has_drifted_is_not_ready(
    client: FlaskClient, engine: SearchEngine
) -> None:
    """The record of the first start says other embeddings than the model gives now."""
    fingerprint = engine.space.fingerprint
    path = engine.library.data_dir / "golden" / f"{fingerprint[:16]}.npz"
    run_self_test(engine.encoder, NpzGoldenStore(path))
    recorded = NpzGoldenStore(path).load()
    assert recorded is not None
    NpzGoldenStore(path).save({name: -rows for name, rows in recorded.items()})
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json["checks"] == {
        "model_loaded": True,
        "index_loaded": True,
        "self_test_passed": False,
    }
    NpzGoldenStore(path).save(recorded)
    assert client.get("/readyz").status_code == 200


def test_asking_whether_a_server_is_ready_writes_nothing(
    client: FlaskClient, engine: SearchEngine
) -> None:
    before = sorted(engine.library.data_dir.rglob("*"))
    assert client.get("/readyz").status_code == 200
    assert sorted(engine.library.data_dir.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    ["/", "/status", "/api/v1/stats", "/api/v1/nothing", "/nothing", "/healthz", "/api/v1/search"],
)
def test_every_answer_carries_a_name_of_its_own(client: FlaskClient, path: str) -> None:
    first, second = (client.get(path).headers["X-Request-Id"] for _ in range(2))
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert first != second


def test_the_callers_name_is_taken_over_where_it_is_sane(client: FlaskClient) -> None:
    for sane in ("0b1f-22", "trace/7:a=b", "x" * 128):
        given = client.get("/healthz", headers={"X-Request-Id": sane})
        assert given.headers["X-Request-Id"] == sane
    for wild in ("", "two words", "<b>", "x" * 129, "đỏ".encode().decode("latin-1")):
        given = client.get("/healthz", headers={"X-Request-Id": wild})
        assert re.fullmatch(r"[0-9a-f]{16}", given.headers["X-Request-Id"])


@pytest.mark.parametrize("path", ["/api/v1/search?q=red", "/?q=red"])
def test_the_log_of_a_failure_names_the_request(
    failing: tuple[FailingEncoder, FlaskClient], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    encoder, client = failing
    encoder.lost = True
    with caplog.at_level(logging.ERROR):
        response = client.get(path, headers={"X-Request-Id": "from-the-proxy"})
    assert response.status_code == 503
    assert response.headers["X-Request-Id"] == "from-the-proxy"
    assert any("from-the-proxy" in record.getMessage() for record in caplog.records)


def test_a_model_that_was_proven_at_the_start_is_not_tested_again_before_it_is_ready(
    failing: tuple[FailingEncoder, FlaskClient], library: Library
) -> None:
    """The self-test takes a second of a real model, which all who wait for a start would wait."""
    encoder, _ = failing
    engine = SearchEngine(library, encoder, SearchConfig())
    engine.model_is_proven = True
    client = create_app(engine, WebConfig()).test_client()
    encoder.lost = True
    assert client.get("/readyz").status_code == 200
