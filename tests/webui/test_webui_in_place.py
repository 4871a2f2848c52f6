"""Searches that stay on the page: in Chromium, with script."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.browser

SAME_DOCUMENT = "window.stayed = true"
SHIFTED = """() => {
  window.shifted = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) shifted.push(entry.value);
  }).observe({type: "layout-shift", buffered: true});
}"""

TWO_FRAMES = """() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
})"""


def search_for(page: Page, query: str) -> None:
    box = page.get_by_label("What to look for, in any language")
    box.fill(query)
    box.press("Enter")
    page.wait_for_url(re.compile(rf"[?&]q={query}\b"))


def expect_hits(page: Page, color: str) -> None:
    first = page.locator("#hits .tile img").first
    expect(first).to_have_attribute("alt", re.compile(f"^{color}/"))


@pytest.fixture
def found(page: Page) -> Page:
    """At a search, on a document that would forget `stayed` if it were left."""
    page.goto("/?q=red")
    page.evaluate(SAME_DOCUMENT)
    return page


def test_a_search_takes_the_place_of_the_one_before(found: Page) -> None:
    search_for(found, "green")
    expect_hits(found, "green")
    expect(found).to_have_title("green · Polyglance")
    tile = found.locator("#hits .tile").first
    assert tile.evaluate("tile => getComputedStyle(tile).backgroundColor") != "rgba(0, 0, 0, 0)"
    expect(found.locator("#told")).to_contain_text("192 pictures")
    assert found.evaluate("stayed")


def test_back_and_forward_show_searches_as_they_were(found: Page) -> None:
    found.get_by_text("Below this line nothing matches well").click()
    found.wait_for_function("() => document.querySelectorAll('.tile').length > 60")
    found.evaluate("scrollTo(0, 700)")
    tiles = found.locator(".tile").count()
    search_for(found, "green")
    assert found.evaluate("scrollY") == 0
    search_for(found, "blue")
    found.go_back()
    expect(found).to_have_url(re.compile("q=green"))
    expect_hits(found, "green")
    expect(found.locator(".words")).to_have_value("green")
    found.go_back()
    expect(found.locator(".words")).to_have_value("red")
    assert found.locator(".tile").count() >= tiles
    found.wait_for_function("() => Math.abs(scrollY - 700) < 5")
    colour = "tile => getComputedStyle(tile).backgroundColor"
    assert found.locator(".tile").last.evaluate(colour) != "rgba(0, 0, 0, 0)"
    found.go_forward()
    found.go_forward()
    expect_hits(found, "blue")
    assert found.evaluate("stayed")


def test_typing_in_the_box_moves_nothing_beneath_it(found: Page) -> None:
    found.evaluate("scrollTo(0, 300)")
    found.keyboard.press("/")
    found.keyboard.type(" apple")
    assert found.evaluate("scrollY") == 300


def test_back_finds_searches_again_after_a_picture_was_looked_at(found: Page) -> None:
    search_for(found, "green")
    found.locator("#hits .tile .open").nth(1).click()
    found.wait_for_url("**/pictures/*")
    found.go_back()
    expect(found).to_have_url(re.compile("q=green"))
    expect_hits(found, "green")
    found.go_back()
    expect(found).to_have_url(re.compile("q=red"))
    expect_hits(found, "red")
    expect(found.locator(".words")).to_have_value("red")


def test_chips_filters_and_dates_are_chosen_on_the_page(found: Page) -> None:
    found.get_by_role("link", name="Filters").click()
    found.get_by_role("link", name="Landscape").press("Enter")
    expect(found.locator(".chip.only")).to_have_text("Landscape")
    expect(found.get_by_role("link", name="Landscape", exact=False).last).to_be_focused()
    found.get_by_label("From").fill("2024-05-01")
    found.get_by_role("button", name="Apply").click()
    expect(found.locator(".chip.only")).to_have_count(2)
    assert "taken_before" not in found.url
    search_for(found, "blue")
    expect(found.locator(".chip.only")).to_have_count(2)
    found.locator(".chip.only a").first.click()
    expect(found.locator(".chip.only")).to_have_count(1)
    found.locator("#hits .tile").first.hover()
    found.get_by_role("link", name="More like this").first.click()
    expect(found.locator(".chip").first).to_contain_text("Like this picture")
    assert found.evaluate("stayed")


def test_what_is_left_out_by_the_tool_is_a_chip(found: Page) -> None:
    found.locator("summary[aria-label='Leave something out']").click()
    found.keyboard.type("grey")
    found.keyboard.press("Enter")
    expect(found.locator(".chip.not")).to_contain_text("grey")
    expect(found.locator("#without")).not_to_be_visible()
    search_for(found, "blue")
    expect(found.locator(".chip.not")).to_have_count(1)
    assert found.evaluate("stayed")


def test_the_start_page_stands_in_place_too_and_one_types_at_once(found: Page) -> None:
    found.locator(".brand").click()
    expect(found.get_by_text("Newest", exact=True)).to_be_visible()
    found.keyboard.type("blue")
    found.keyboard.press("Enter")
    found.wait_for_url("**/?q=blue")
    assert found.evaluate("stayed")


def test_an_error_is_said_in_place_and_left_again(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/?q=red")
    page.evaluate("history.replaceState(null, '', '/?q=red&image=99999')")
    page.reload()
    page.evaluate(SAME_DOCUMENT)
    expect(page.get_by_role("alert")).to_contain_text("There is no picture 99")
    search_for(page, "green")
    expect_hits(page, "green")
    page.go_back()
    expect(page.get_by_role("alert")).to_contain_text("There is no picture 99")
    assert page.evaluate("stayed")


def test_nothing_that_is_seen_moves_when_one_jumps_to_the_end(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/?orientation=landscape")
    page.evaluate(SHIFTED)
    tiles = page.locator(".tile")
    while (shown := tiles.count()) < 96:
        page.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
        expect(tiles.nth(shown)).to_be_attached()
    page.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    expect(page.locator(".next, .held")).to_have_count(0)
    page.evaluate(TWO_FRAMES)
    assert tiles.count() == 96
    assert page.evaluate("shifted") == []


def test_the_last_of_what_matches_is_seen_when_the_rest_has_come_beneath(page: Page) -> None:
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto("/?q=red")
    expect(page.locator("#rest")).to_be_attached()
    expect(page.locator("#hits .tile").last).to_be_visible()


def test_the_server_out_of_reach_is_said_and_tried_again(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/?q=red")
    page.evaluate(SAME_DOCUMENT)
    page.route("**/?q=green*", lambda route: route.abort())
    box = page.get_by_label("What to look for, in any language")
    box.fill("green")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    expect_hits(page, "red")
    page.unroute("**/?q=green*")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/?q=green")
    expect_hits(page, "green")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert page.evaluate("stayed")


def test_only_the_last_of_searches_in_a_row_is_shown(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/?q=red")
    held: list[object] = []
    page.route("**/?q=green*", lambda route: held.append(route))  # noqa: PLW0108 it is marked
    box = page.get_by_label("What to look for, in any language")
    box.fill("green")
    box.press("Enter")
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    search_for(page, "blue")
    expect_hits(page, "blue")
    for route in held:
        route.continue_()  # type: ignore[attr-defined]
    page.evaluate(TWO_FRAMES)
    expect_hits(page, "blue")
    expect(page).to_have_url(re.compile("q=blue"))


def test_a_phone_puts_its_keyboard_away_after_a_search(phone_context: BrowserContext) -> None:
    page = phone_context.new_page()
    page.goto("/?q=red")
    search_for(page, "green")
    expect(page.locator(".words")).not_to_be_focused()
