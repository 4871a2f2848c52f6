import threading
from pathlib import Path

import pytest
import waitress
from color_encoder import ColorEncoder
from flask.testing import FlaskClient

from search.config import SearchConfig
from search.engine import SearchEngine
from storage.library import Library
from webui.app import create_app
from webui.config import WebConfig


@pytest.fixture
def engine(library: Library, encoder: ColorEncoder, index, pictures: Path) -> SearchEngine:
    """Over a library of the six pictures."""
    index(pictures)
    return SearchEngine(library, encoder, SearchConfig(max_upload_bytes=200_000))


@pytest.fixture
def client(engine: SearchEngine) -> FlaskClient:
    return create_app(engine, WebConfig()).test_client()


@pytest.fixture
def server_url(engine: SearchEngine):
    """Where the real server listens."""
    app = create_app(engine, WebConfig())
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=2)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    # Workers first, then the loop from inside itself: closed from here, either could still write
    # to what is gone.
    server.task_dispatcher.shutdown()
    server.trigger.pull_trigger(server.close)
    thread.join(timeout=10)
    assert not thread.is_alive()
