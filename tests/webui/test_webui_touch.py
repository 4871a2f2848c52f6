"""A phone's fingers on a picture's page: real touches, by Chromium's own protocol."""

import pytest
from playwright.sync_api import BrowserContext, CDPSession, Page, expect

pytestmark = pytest.mark.browser

Point = tuple[float, float]


class Fingers:
    def __init__(self, session: CDPSession) -> None:
        self._session = session

    def send(self, kind: str, *points: Point) -> None:
        touches = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def move(self, begin: tuple[Point, ...], end: tuple[Point, ...], steps: int = 6) -> None:
        """Put down one after the other, moved all together; not lifted."""
        for count in range(1, len(begin) + 1):
            self.send("touchStart", *begin[:count])
        for step in range(1, steps + 1):
            part = step / steps
            self.send(
                "touchMove",
                *(
                    (x + (to_x - x) * part, y + (to_y - y) * part)
                    for (x, y), (to_x, to_y) in zip(begin, end, strict=True)
                ),
            )

    def swipe(self, begin: Point, end: Point) -> None:
        self.move((begin,), (end,))
        self.send("touchEnd")


@pytest.fixture
def phone(phone_context: BrowserContext) -> Page:
    page = phone_context.new_page()
    page.goto("/pictures/2?q=red&at=1")
    return page


@pytest.fixture
def fingers(phone: Page) -> Fingers:
    return Fingers(phone.context.new_cdp_session(phone))


def box_of(page: Page, selector: str = "#shown") -> dict[str, float]:
    """As it is once the moves before it have been drawn: they come with the frames."""
    found: dict[str, float] = page.evaluate(
        """(name) => new Promise((done) => {
          const frame = () => document.querySelector(name).getBoundingClientRect().toJSON();
          requestAnimationFrame(() => requestAnimationFrame(() => done(frame())));
        })""",
        selector,
    )
    return found


def middle(page: Page) -> Point:
    box = box_of(page, ".window")
    return box["left"] + box["width"] / 2, box["top"] + box["height"] / 2


def test_two_fingers_apart_bring_the_picture_nearer_and_together_whole_again(
    phone: Page, fingers: Fingers
) -> None:
    x, y = middle(phone)
    width = box_of(phone)["width"]
    fingers.move(((x - 30, y), (x + 30, y)), ((x - 90, y), (x + 90, y)))
    fingers.send("touchEnd")
    near = box_of(phone)
    assert near["width"] / width == pytest.approx(3, rel=0.05)
    assert near["left"] + near["width"] / 2 == pytest.approx(x, abs=6)
    assert phone.evaluate("visualViewport.scale") == pytest.approx(1)
    fingers.move(((x - 90, y), (x + 90, y)), ((x - 15, y), (x + 15, y)))
    fingers.send("touchEnd")
    assert box_of(phone)["width"] == pytest.approx(width)
    assert "/pictures/2" in phone.url


def test_what_lies_between_the_fingers_stays_there(phone: Page, fingers: Fingers) -> None:
    x, y = middle(phone)
    x -= 80
    before = box_of(phone)
    share = (x - before["left"]) / before["width"]
    fingers.move(((x, y - 20), (x, y + 20)), ((x, y - 50), (x, y + 50)))
    fingers.send("touchEnd")
    after = box_of(phone)
    assert after["width"] > 2 * before["width"]
    assert (x - after["left"]) / after["width"] == pytest.approx(share, abs=0.02)


def test_one_finger_moves_a_picture_that_is_near_and_turns_no_page(
    phone: Page, fingers: Fingers
) -> None:
    x, y = middle(phone)
    fingers.move(((x - 30, y), (x + 30, y)), ((x - 75, y), (x + 75, y)))
    fingers.send("touchEnd")
    left = box_of(phone)["left"]
    fingers.swipe((x + 60, y), (x - 60, y))
    assert box_of(phone)["left"] == pytest.approx(left - 120, abs=3)
    assert "/pictures/2" in phone.url


def test_a_swipe_turns_the_picture_over_and_back(phone: Page, fingers: Fingers) -> None:
    x, y = middle(phone)
    fingers.swipe((x + 80, y), (x - 80, y + 10))
    phone.wait_for_url("**at=2")
    expect(phone.get_by_text("3 of 192")).to_be_visible()
    fingers.swipe((x - 80, y), (x + 80, y))
    phone.wait_for_url("**at=1")


def test_a_finger_down_the_page_scrolls_and_turns_nothing(phone: Page, fingers: Fingers) -> None:
    x, y = middle(phone)
    fingers.move(((x, y + 60),), ((x + 20, y - 160),), steps=12)
    fingers.send("touchEnd")
    phone.wait_for_function("() => scrollY > 50")
    assert "/pictures/2" in phone.url


def test_two_fingers_turn_no_page(phone: Page, fingers: Fingers) -> None:
    x, y = middle(phone)
    fingers.move(((x + 60, y - 20), (x + 60, y + 20)), ((x - 60, y - 20), (x - 60, y + 20)))
    fingers.send("touchEnd")
    phone.wait_for_timeout(200)
    assert "/pictures/2" in phone.url
