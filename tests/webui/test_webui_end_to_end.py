"""The whole of Polyglance as a newcomer meets it: the command line, the real server, Chromium."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.browser


class Server:
    """`polyglance …` in a process of its own, once it has said where it is."""

    def __init__(self, *arguments: object) -> None:
        script = "from cli.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in self.process.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                self.address = found[0]
                return
        self.process.communicate(timeout=30)
        raise AssertionError(f"polyglance {arguments} ended before it served")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)


def run(*arguments: object) -> None:
    script = "from cli.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    library = tmp_path_factory.mktemp("demo")
    server = Server("--data-dir", library, "demo", "--no-browser", "--port", "0")
    yield server
    server.stop()


@pytest.fixture
def demo_page(demo: Server, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(base_url=demo.address)
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def search(page: Page, query: str) -> list[str]:
    """Type a query as a person does; the names of the pictures found, the best first."""
    page.goto("/")
    box = page.locator(".words")
    box.fill(query)
    box.press("Enter")
    page.wait_for_url("**q=*")
    names = page.locator(".tile img").evaluate_all("all => all.map(each => each.alt)")
    return [Path(name).name for name in names]


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("a cat", "chelsea.png"),
        ("con mèo", "chelsea.png"),
        ("猫", "chelsea.png"),
        ("gato", "chelsea.png"),
        ("кошка", "chelsea.png"),
        ("tên lửa", "rocket.jpg"),
        ("火箭", "rocket.jpg"),
    ],
)
def test_a_newcomer_finds_the_right_picture_in_any_language(
    demo_page: Page, query: str, finds: str
) -> None:
    assert finds in search(demo_page, query)[:3]


def test_the_page_says_that_the_starter_is_a_stand_in(demo_page: Page) -> None:
    demo_page.goto("/")
    assert "stand-in" in demo_page.locator("body").inner_text()


def test_a_picture_opens_with_its_facts_and_similar_ones(demo_page: Page) -> None:
    search(demo_page, "motorcycle")
    demo_page.locator(".tile a.open").first.click()
    demo_page.wait_for_url("**/pictures/*")
    text = demo_page.locator("body").inner_text()
    assert "motorcycle_" in text
    similar = demo_page.locator(".tile img").evaluate_all("all => all.map(each => each.alt)")
    assert any("motorcycle_" in name for name in similar[:2])


def test_a_tiny_siglip2_goes_from_the_index_to_the_page(
    tmp_path: Path, tiny_siglip2: Path, chromium: Browser
) -> None:
    for mark in range(5):
        draw_picture(tmp_path / "pictures" / f"{mark}.png", (50 * mark, 90, 200), mark)
    library = ("--data-dir", tmp_path / "library")
    run(*library, "index", tmp_path / "pictures", "--model", tiny_siglip2)
    server = Server(*library, "serve", "--port", "0")
    context = chromium.new_context(base_url=server.address)
    try:
        assert sorted(search(context.new_page(), "một con mèo")) == [f"{n}.png" for n in range(5)]
    finally:
        context.close()
        server.stop()
