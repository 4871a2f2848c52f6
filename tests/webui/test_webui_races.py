"""What only a slow machine or line shows: answers, scripts and pictures that come late."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from storage.jobs import start_job
from storage.library import Library

pytestmark = pytest.mark.browser


class Late:
    """Requests that match wait until they are let go."""

    def __init__(self, page: Page, pattern: str | re.Pattern[str]) -> None:
        self.held: list[Route] | None = []
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        if self.held is None:
            route.continue_()
        else:
            self.held.append(route)

    def let_go(self) -> None:
        held, self.held = self.held or [], None
        for route in held:
            route.continue_()


def expect_hits(page: Page, color: str) -> None:
    first = page.locator("#hits .tile img").first
    expect(first).to_have_attribute("alt", re.compile(f"^{color}/"))


def ask_for(page: Page, query: str) -> None:
    page.locator(".words").fill(query)
    page.locator(".words").press("Enter")


def test_words_typed_before_the_script_ran_are_not_those_of_the_search_shown(page: Page) -> None:
    script = Late(page, "**/box.js*")
    page.goto("/?q=red", wait_until="commit")
    page.locator("input.words").fill("green")
    script.let_go()
    words = page.locator("textarea.words")
    expect(words).to_have_value("green")
    page.wait_for_load_state()
    words.press("Enter")
    expect_hits(page, "green")
    page.go_back()
    expect_hits(page, "red")
    expect(words).to_have_value("red")


def test_a_search_left_by_back_before_its_answer_leaves_no_trace(page: Page) -> None:
    page.goto("/?q=red")
    ask_for(page, "green")
    expect_hits(page, "green")
    answer = Late(page, "**/?q=blue*")
    ask_for(page, "blue")
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    page.go_back()
    expect_hits(page, "red")
    page.go_forward()
    expect_hits(page, "green")
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    answer.let_go()


def test_back_before_the_answer_to_back_mixes_nothing_up(page: Page) -> None:
    page.goto("/?q=red")
    ask_for(page, "green")
    expect_hits(page, "green")
    page.reload()  # what was kept is forgotten: Back has to ask
    answer = Late(page, "**/?q=red*")
    page.go_back()
    expect(page).to_have_url(re.compile("q=red"))
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    page.go_forward()
    expect(page).to_have_url(re.compile("q=green"))
    expect_hits(page, "green")
    answer.let_go()
    page.go_back()
    expect_hits(page, "red")
    expect(page.locator(".words")).to_have_value("red")


def test_an_answer_takes_the_focus_from_no_one_who_types(page: Page) -> None:
    page.goto("/?q=red&not=grey")
    answer = Late(page, re.compile(r"\?q=red$"))
    page.get_by_label("No longer without grey").click()
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    page.keyboard.press("/")
    page.keyboard.type("gr")
    answer.let_go()
    expect(page.locator(".chip")).to_have_count(0)
    page.keyboard.type("een")
    expect(page.locator(".words")).to_have_value("green")
    expect(page.locator(".words")).to_be_focused()


def back_from_far_down(page: Page, *, top: int, tile: int) -> Late:
    """Back from a picture of a later page of hits, which is asked for again, and is held back."""
    page.goto("/?q=red")
    page.get_by_text("Below this line nothing matches well").click()
    page.wait_for_function("() => document.querySelectorAll('.tile').length > 60")
    page.evaluate(f"scrollTo(0, {top})")
    page.locator(".tile .open").nth(tile).click()
    page.wait_for_url("**/pictures/*")
    further = Late(page, "**/?q=red&cursor=*")
    page.go_back()
    expect(page.locator("main .next")).to_have_attribute("aria-busy", "true")
    return further


def test_a_place_that_is_found_again_late_disturbs_no_other_search(page: Page) -> None:
    further = back_from_far_down(page, top=900, tile=30)
    ask_for(page, "green")
    expect_hits(page, "green")
    further.let_go()
    rest = page.locator("#rest")
    expect(rest).to_be_attached()
    page.wait_for_timeout(300)
    expect(rest).not_to_have_attribute("open", "")
    assert page.evaluate("scrollY") == 0


def test_a_next_page_that_fails_is_said_once_however_often_it_was_asked_for(
    context: BrowserContext,
) -> None:
    page = context.new_page()
    further = Late(page, "**/?q=red&cursor=*")
    page.goto("/?q=red")
    expect(page.locator(".next")).to_have_attribute("aria-busy", "true")
    page.get_by_role("link", name="More pictures").click()
    assert further.held
    assert len(further.held) == 1
    further.held.pop().abort()
    expect(page.get_by_role("alert")).to_have_count(1)
    further.let_go()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".tile").nth(24)).to_be_attached()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_file_that_failed_before_the_script_ran_shows_its_thumbnail(
    context: BrowserContext,
) -> None:
    page = context.new_page()
    page.route("**/images/1/file", lambda route: route.fulfill(body="no picture"))
    script = Late(page, "**/picture.js*")
    page.goto("/pictures/1", wait_until="commit")
    page.wait_for_function("() => document.getElementById('shown')?.complete")
    script.let_go()
    shown = page.locator("#shown")
    expect(shown).to_have_attribute("src", re.compile("/thumbnail"))
    expect(shown).not_to_have_js_property("naturalWidth", 0)


def test_escape_pressed_twice_closes_one_picture(page: Page) -> None:
    page.goto("/?q=blue")
    ask_for(page, "red")
    expect_hits(page, "red")
    page.locator("#hits .tile .open").first.click()
    page.wait_for_url("**/pictures/*")
    page.evaluate(
        """() => {
          const key = {key: "Escape", bubbles: true, cancelable: true};
          for (const _ of "12") document.body.dispatchEvent(new KeyboardEvent("keydown", key));
        }"""
    )
    expect(page).to_have_url(re.compile(r"\?q=red$"))
    expect_hits(page, "red")
    assert page.evaluate("navigation.currentEntry.index") == 1


def test_jobs_go_on_on_the_page_and_keep_the_focus(page: Page, library: Library) -> None:
    page.goto("/jobs")
    link = page.locator("#jobs a").last
    link.focus()
    start_job(library.engine, "reindex", "colors", [])
    expect(page.locator("#jobs")).to_contain_text("Indexing anew")
    expect(link).to_be_focused()


def test_who_scrolls_meanwhile_is_not_thrown_back_to_where_one_was(page: Page) -> None:
    further = back_from_far_down(page, top=1500, tile=40)
    page.mouse.move(600, 400)
    page.mouse.wheel(0, 10)
    page.mouse.wheel(0, -5000)
    page.wait_for_function("() => scrollY === 0")
    further.let_go()
    page.wait_for_function("() => document.querySelector('#rest')?.open")
    assert page.evaluate("scrollY") == 0
