"""The way in for people, as a browser has it; with and without scripts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture
from loopback_server import served
from playwright.sync_api import Browser, expect

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from search.access.config import AccessConfig
from search.config import SearchConfig
from search.engine import SearchEngine
from storage.api_keys import create_key, revoke_key
from storage.library import Library
from webui.app import create_app
from webui.config import WebConfig


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Library, str]]:
    """A library of its own for tests that make keys, and where its server listens."""
    pictures = tmp_path / "pictures"
    draw_picture(pictures / "red.png", (255, 0, 0))
    library = Library.open(tmp_path / "library", create=True)
    IndexJob(library, ColorEncoder(), IndexConfig(workers=1)).run(IndexRequest([str(pictures)]))
    engine = SearchEngine(library, ColorEncoder(), SearchConfig())
    app = create_app(engine, WebConfig(access=AccessConfig(open_without_keys=False)))
    with served(app) as address:
        yield library, address
    library.close()


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_person_signs_in_searches_and_signs_out(
    chromium: Browser, locked: tuple[Library, str], script: bool
) -> None:
    library, address = locked
    key = create_key(library.engine, "person", "read").key
    context = chromium.new_context(base_url=address, locale="en-US", java_script_enabled=script)
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto("/?q=red")
    expect(page).to_have_title("Sign in · Polyglance")
    entry = page.get_by_label("Your key")
    entry.fill("plg_wrong")
    entry.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("revoked")
    page.get_by_label("Your key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".tile").first).to_be_visible()
    assert page.url == f"{address}/?q=red"
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Polyglance")
    page.goto("/")
    expect(page).to_have_title("Sign in · Polyglance")
    assert revoke_key(library.engine, "person").last_used_at is not None
    context.close()
