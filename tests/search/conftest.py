from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from flask.testing import FlaskClient
from loopback_server import served

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
    with served(app) as address:
        yield address
