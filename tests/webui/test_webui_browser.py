"""The pages in Chromium, on a real server: as a person uses them."""

import re
from pathlib import Path

import pytest
from drawn_library import draw
from playwright.sync_api import Browser, BrowserContext, Page, expect

pytestmark = pytest.mark.browser


def search_for(page: Page, query: str) -> None:
    page.goto("/")
    page.keyboard.type(query)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=*")


def wait_for_pictures_in_view(page: Page) -> None:
    page.wait_for_function(
        """() => [...document.images].every((image) => {
          const box = image.getBoundingClientRect();
          const seen = box.bottom > 0 && box.top < innerHeight && image.checkVisibility();
          return !seen || image.naturalWidth > 0;
        })"""
    )


def scrolls_sideways(page: Page) -> bool:
    wider: bool = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return wider


def focused(page: Page) -> str:
    """Id of the tile that has the focus, else the name of the focused element."""
    name: str = page.evaluate(
        "document.activeElement.closest('.tile')?.id ?? document.activeElement.name ?? ''"
    )
    return name


@pytest.mark.parametrize(
    "query", ["red", "quả táo đỏ", "红色的", "شيء أحمر", "लाल रंग", "สีแดง", "赤い花"]
)
def test_typing_in_any_language_finds_pictures(page: Page, query: str) -> None:
    search_for(page, query)
    expect(page.get_by_label("What to look for, in any language")).to_have_value(query)
    first = page.locator("#hits .tile img").first
    expect(first).to_have_attribute("alt", re.compile("^red/"))
    expect(first).not_to_have_js_property("naturalWidth", 0)


def test_an_input_methods_enter_does_not_send_the_query(page: Page) -> None:
    page.goto("/")
    sent = page.evaluate(
        """(how) => {
          let sent = 0;
          const stop = (event) => (sent++, event.preventDefault());
          document.addEventListener("submit", stop, {capture: true, once: true});
          const key = {key: "Enter", bubbles: true, cancelable: true};
          const words = document.querySelector(".words");
          words.dispatchEvent(new KeyboardEvent("keydown", {...key, ...how}));
          return sent;
        }""",
        {"keyCode": 229, "isComposing": True},
    )
    assert sent == 0


def test_a_picture_opens_and_back_returns_to_where_one_was(page: Page) -> None:
    search_for(page, "green")
    tile = page.locator("#hits .tile .open").nth(2)
    name = tile.locator("img").get_attribute("alt")
    assert name
    tile.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name.rpartition("/")[2])
    shown = page.locator("#shown")
    expect(shown).to_have_attribute("src", re.compile("/file$"))
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.wait_for_load_state()
    page.get_by_role("link", name="Back to what was found").click()
    expect(page).to_have_url(re.compile(r"/\?q=green$"))
    assert page.evaluate("navigation.canGoForward")


def test_arrow_keys_turn_pictures_over_and_escape_closes_them(page: Page) -> None:
    search_for(page, "blue")
    names = [
        image.get_attribute("alt") or "" for image in page.locator("#hits .tile img").all()[:3]
    ]
    page.locator("#hits .tile .open").first.click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(names[0].rpartition("/")[2])
    page.wait_for_load_state()
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        expect(heading).to_have_text(names[place].rpartition("/")[2])
        expect(page.get_by_text(f"{place + 1} of 192")).to_be_visible()
        page.wait_for_load_state()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/\?q=blue$"))
    expect(page.locator("#hits .tile").nth(10)).to_be_visible()


def test_keys_reach_the_box_and_every_picture(page: Page) -> None:
    page.goto("/?q=violet")
    page.keyboard.press("/")
    assert focused(page) == "q"
    ids = [tile.get_attribute("id") for tile in page.locator("#hits .tile").all()]
    page.keyboard.press("ArrowDown")
    assert focused(page) == ids[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert focused(page) == ids[2]
    above = page.locator(f"#{ids[2]}").bounding_box()
    page.keyboard.press("ArrowDown")
    below = page.locator(f"#{focused(page)}").bounding_box()
    assert above and below
    assert below["y"] > above["y"]
    assert below["x"] < above["x"] + above["width"]
    assert above["x"] < below["x"] + below["width"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert focused(page) == "q"
    page.keyboard.press("Escape")
    expect(page.get_by_label("What to look for, in any language")).to_have_value("")


def test_enter_opens_the_focused_picture_and_its_outline_is_seen(page: Page) -> None:
    page.goto("/?q=violet")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    link = page.locator("#hits .tile .open").first
    assert link.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    about = page.locator("#hits .tile .about").first
    expect(about).to_have_css("opacity", "1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pictures/*")


def test_the_first_tab_leads_past_the_search_box(page: Page) -> None:
    page.goto("/?q=red")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the pictures")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    assert focused(page) == page.locator("#hits .tile").first.get_attribute("id")


def test_more_pictures_come_while_one_scrolls(page: Page) -> None:
    page.goto("/?q=red")
    line = page.get_by_text("Below this line nothing matches well")
    line.click()
    tiles = page.locator(".tile")
    while (shown := tiles.count()) < 192:
        page.keyboard.press("End")
        expect(tiles.nth(shown)).to_be_attached()
    ids = page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.id)")
    assert len(ids) == len(set(ids)) == 192
    expect(page.locator(".next")).to_have_count(0)
    last = page.locator(".tile").last
    assert last.evaluate("tile => getComputedStyle(tile).flexGrow") != "0"
    assert last.evaluate("tile => getComputedStyle(tile).backgroundColor") != "rgba(0, 0, 0, 0)"


# As where a page is too busy to hear of each change: it is told of two together, in their order.
BUSY_PAGE = """
    const Native = IntersectionObserver;
    window.IntersectionObserver = class extends Native {
        constructor(told, options) {
            let waiting = [];
            super((entries) => {
                waiting.push(...entries);
                window.heardOf = waiting.length;
                if (waiting.length > 1) told(waiting.splice(0), this);
            }, options);
        }
    };
"""


def test_more_pictures_come_to_a_busy_page(page: Page, address_of_60: str) -> None:
    page.add_init_script(BUSY_PAGE)
    page.goto(f"{address_of_60}/?q=red")
    expect(page.locator(".tile")).to_have_count(60)
    page.wait_for_function(
        "() => window.heardOf === 1"
    )  # the link to what comes next is folded away
    page.get_by_text("Below this line nothing matches well").click()
    expect(page.locator(".tile").nth(60)).to_be_attached()


def test_rows_are_level_and_fill_the_width(page: Page) -> None:
    page.goto("/?q=red")
    boxes = page.locator("#hits .tile").evaluate_all(
        "tiles => tiles.map(tile => tile.getBoundingClientRect().toJSON())"
    )
    rows: dict[int, list[dict[str, float]]] = {}
    for box in boxes:
        rows.setdefault(round(box["top"]), []).append(box)
    full = list(rows.values())[:-1]
    assert len(full) >= 2
    for row in full:
        assert max(box["height"] for box in row) - min(box["height"] for box in row) < 2
        assert 170 <= row[0]["height"] <= 300
    assert len({round(row[-1]["right"]) for row in full}) == 1


def test_nothing_moves_when_thumbnails_arrive(context: BrowserContext) -> None:
    page = context.new_page()
    page.route("**/thumbnail?*", lambda route: route.abort())
    page.goto("/?q=red")
    # The last row of all makes room for those of the next page.
    tops = "tiles => tiles.slice(0, 15).map(t => t.offsetTop)"
    without = page.locator("#hits .tile").evaluate_all(tops)
    page.unroute("**/thumbnail?*")
    page.goto("/?q=red")
    wait_for_pictures_in_view(page)
    assert page.locator("#hits .tile").evaluate_all(tops) == without


def test_choosing_a_picture_searches_by_it(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    draw("orange", (90, 60), 0.2).save(path)
    page.goto("/")
    with page.expect_file_chooser() as chooser:
        page.locator("#picker summary").click()
    chooser.value.set_files(path)
    page.wait_for_url("**/?picture=*")
    expect(page.get_by_text("Like your picture")).to_be_visible()
    expect(page.locator("#hits img").first).to_have_attribute("alt", re.compile("^orange/"))
    page.get_by_role("link", name="Remove your picture from the search").click()
    expect(page).to_have_url(re.compile(r"/$"))


DROP = """async (kind) => {
  const canvas = new OffscreenCanvas(60, 40);
  const paint = canvas.getContext("2d");
  paint.fillStyle = "rgb(50, 160, 70)";
  paint.fillRect(0, 0, 60, 40);
  const blob = await canvas.convertToBlob({type: "image/png"});
  const held = new DataTransfer();
  held.items.add(new File([blob], "held.png", {type: "image/png"}));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", {clipboardData: held, bubbles: true, cancelable: true})
    : new DragEvent("drop", {dataTransfer: held, bubbles: true, cancelable: true});
  document.body.dispatchEvent(event);
}"""


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_dropped_or_pasted_is_searched_by(page: Page, kind: str) -> None:
    page.goto("/")
    page.evaluate(DROP, kind)
    page.wait_for_url("**/?picture=*")
    expect(page.locator("#hits img").first).to_have_attribute("alt", re.compile("^green/"))


def test_leaving_something_out_and_taking_it_back_by_key(page: Page) -> None:
    page.goto("/?q=red")
    page.get_by_label("Leave something out").click()
    page.keyboard.type("grey")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=red&not=grey")
    expect(page.get_by_text("without grey")).to_be_visible()
    expect(page.locator(".words")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Backspace")
    expect(page).to_have_url(re.compile(r"/\?q=red$"))


def test_a_long_query_makes_the_box_grow(page: Page) -> None:
    page.goto("/")
    box = page.get_by_label("What to look for, in any language")
    low = box.bounding_box()
    page.keyboard.type("a very long query about things that are red and " * 4)
    high = box.bounding_box()
    assert low and high
    assert high["height"] > low["height"] + 20


def test_without_javascript_one_can_search_page_open_and_return(
    chromium: Browser, address: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.png"
    draw("blue", (90, 60), 0.2).save(path)
    context = chromium.new_context(base_url=address, java_script_enabled=False, locale="en-US")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("What to look for, in any language").fill("màu đỏ")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=*")
    expect(page.locator("#hits .tile").first).to_be_visible()
    page.get_by_text("Below this line nothing matches well").click()
    page.get_by_role("link", name="More pictures").click()
    page.wait_for_url("**cursor=**")
    page.locator(".tile .open").first.click()
    page.get_by_role("link", name="The next picture").click()
    page.get_by_role("link", name="Back to what was found").click()
    page.wait_for_url("**cursor=**")
    page.get_by_label("Search by a picture").click()
    page.get_by_label("A picture to search by").set_input_files(path)
    page.get_by_role("button", name="Search by it").click()
    page.wait_for_url("**picture=**")
    expect(page.get_by_text("Like your picture")).to_be_visible()
    page.get_by_label("Leave something out").click()
    page.get_by_label("Without").fill("grey")
    page.get_by_role("button", name="Leave out").click()
    expect(page.get_by_text("without grey")).to_be_visible()
    context.close()


STATES = {
    "start": "/",
    "results": "/?q=red",
    "nothing": "/?q=zebra",
    "chips": "/?q=red&image=30&not=grey&not=white",
    "picture": "/pictures/1?q=red&at=0",
    "status": "/status",
    "error": "/?q=red&image=99999",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1920])
def test_every_page_fits_from_phone_to_wide_in_light_and_dark(
    chromium: Browser, address: str, screenshots: Path, width: int, scheme: str
) -> None:
    context = chromium.new_context(
        base_url=address,
        viewport={"width": width, "height": 760 if width < 800 else 1080},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-US",
    )
    page = context.new_page()
    for name, url in STATES.items():
        page.goto(url)
        wait_for_pictures_in_view(page)
        assert not scrolls_sideways(page), name
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        levels = [int(level) for level in re.findall(r"\d+", ground)]
        assert (sum(levels) < 150) == (scheme == "dark")
        page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png")
    context.close()


def test_on_a_phone_two_or_three_pictures_stand_in_a_row(chromium: Browser, address: str) -> None:
    context = chromium.new_context(base_url=address, viewport={"width": 360, "height": 760})
    page = context.new_page()
    page.goto("/?q=red")
    tops = page.locator("#hits .tile").evaluate_all("tiles => tiles.map(t => t.offsetTop)")
    in_rows = [tops.count(top) for top in sorted(set(tops))][:-1]
    assert set(in_rows) <= {1, 2, 3}
    assert sum(in_rows) / len(in_rows) > 1.5
    context.close()


def test_a_swipe_turns_the_picture_over(chromium: Browser, address: str) -> None:
    context: BrowserContext = chromium.new_context(
        base_url=address, viewport={"width": 360, "height": 760}, has_touch=True, locale="en-US"
    )
    page = context.new_page()
    page.goto("/?q=red")
    page.locator("#hits .tile .open").first.tap()
    page.wait_for_url("**/pictures/*")
    page.evaluate(
        """() => {
          const stage = document.querySelector(".stage");
          const at = (x) => new Touch({identifier: 1, target: stage, clientX: x, clientY: 200});
          stage.dispatchEvent(new TouchEvent("touchstart", {touches: [at(300)]}));
          stage.dispatchEvent(new TouchEvent("touchend", {changedTouches: [at(120)]}));
        }"""
    )
    page.wait_for_url("**at=1")
    expect(page.get_by_text("2 of 192")).to_be_visible()
    context.close()
