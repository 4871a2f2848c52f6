"""A real library of drawn pictures, the app over it, and Chromium on a real server."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from drawn_library import make_library
from flask import Flask
from flask.testing import FlaskClient
from loopback_server import served
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from search.config import SearchConfig
from search.engine import SearchEngine
from storage.library import Library
from webui.app import create_app
from webui.config import WebConfig

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
CHROMIUM_ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000
"""How long a test waits for what has to come: much, as the machine may be busy."""
NOTICE = "This is an encoder for tests: it sees colours only."
LEFT_OUT = "Transition was aborted"
"""Said by the browser of an animation between pages that it leaves out, as it may when busy."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = make_library(tmp_path_factory.mktemp("library"))
    yield library
    library.close()


@pytest.fixture(scope="session")
def engine(library: Library) -> SearchEngine:
    return SearchEngine(library, ColorEncoder(), SearchConfig(max_upload_bytes=300_000))


@pytest.fixture(scope="session")
def app(engine: SearchEngine) -> Flask:
    return create_app(engine, WebConfig(model_notice=NOTICE, hits_per_page=24))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def address(app: Flask) -> Iterator[str]:
    with served(app, threads=4) as address:
        yield address


@pytest.fixture(scope="session")
def address_of_60(engine: SearchEngine) -> Iterator[str]:
    """Of a server that shows 60 hits at once."""
    with served(create_app(engine, WebConfig(hits_per_page=60)), threads=4) as address:
        yield address


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = (shutil.which(name) for name in CHROMIUM_NAMES)
    path = next((each for each in found if each), None)
    assert path is not None, "These tests drive Chromium: install it (make install does)."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, address: str) -> Iterator[BrowserContext]:
    context = chromium.new_context(
        base_url=address, viewport={"width": 1280, "height": 800}, locale="en-US"
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def phone_context(chromium: Browser, address: str) -> Iterator[BrowserContext]:
    """A phone's browser, in which fingers touch."""
    context = chromium.new_context(
        base_url=address,
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
        locale="en-US",
    )
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails the test when a script on it fails or the policy is broken."""
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    yield page
    assert [said for said in troubles if not said.startswith(LEFT_OUT)] == []


@pytest.fixture(scope="session")
def screenshots() -> Path:
    folder = Path(os.environ.get("PYTEST_SCREENSHOTS", Path(__file__).parents[1] / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
