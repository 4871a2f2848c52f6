"""How soon 60 hits are painted after the answer: python -m bench.page_paint URL [URL …]

Drives Chromium at running servers (polyglance serve), several of them interleaved, so that two
versions can be compared. From the last byte of the answer, in ms: `frame` until the first frame
with the hits in their places and colours, `seen` until the last thumbnail in view is painted.
`cold` is the first page of a fresh browser, `bare` an answer of a few words in its place (what
the browser's own start takes), `warm` a second address gone to in it, `search` a
query that is typed there and sent by Enter. Each of --queries should find 60 pictures or more.
"""

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

QUERIES = ("apple", "shoe", "milk", "banana", "juice", "hat", "potato", "orange", "dress", "tomato")
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
WAYS = ("bare", "cold", "warm", "search")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]

WATCH = """(() => {
  window.seen = [];
  const told = (entries) => entries.getEntries().forEach((each) => seen.push(each.renderTime));
  new PerformanceObserver(told).observe({type: "element", buffered: true});
  new MutationObserver((changes) => {
    for (const {addedNodes} of changes) {
      for (const node of addedNodes) {
        if (node.nodeType !== 1) continue;
        const images = node.matches("img") ? [node] : node.querySelectorAll("img");
        for (const image of images) image.setAttribute("elementtiming", "");
        if (node.matches("main")) requestAnimationFrame(() => {
          const after = new MessageChannel();
          after.port1.onmessage = () => (window.frame = performance.now());
          after.port2.postMessage(0);
        });
      }
    }
  }).observe(document, {childList: true, subtree: true});
})()"""
READ = """(inPlace) => {
  const answers = performance.getEntriesByType(inPlace ? "resource" : "navigation");
  const answer = answers.filter((each) => !inPlace || each.name.includes("?q=")).at(-1);
  const painted = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  const after = (time) => time - answer.responseEnd;
  return {frame: after(inPlace ? frame : painted), seen: after(Math.max(...seen, painted))};
}"""


def measure(
    browser: Browser, url: str, queries: list[str], case: tuple[str, str], round_: int
) -> dict[str, float]:
    """case: size and way."""
    size, way = case
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.add_init_script(WATCH)
    query, other = (queries[(round_ + step) % len(queries)] for step in (0, 1))
    if way == "bare":
        _settled(page, f"{url}/healthz")
        return _read(page, in_place=False)
    if way != "cold":
        _settled(page, f"{url}/?q={other}")
    if way == "search":
        page.evaluate("seen.length = 0")
        page.locator("#search .words").fill(query)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/?q={query}")
        page.wait_for_function(
            "performance.getEntriesByName(location.href).length || !window.frame"
        )
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(300)
        entry = page.evaluate("performance.getEntriesByType('navigation')[0].name")
        return _read(page, in_place=entry != page.url)
    _settled(page, f"{url}/?q={query}")
    return _read(page, in_place=False)


def _settled(page: Page, url: str) -> None:
    page.goto(url, wait_until="networkidle")
    page.wait_for_timeout(200)


def _read(page: Page, *, in_place: bool) -> dict[str, float]:
    found: dict[str, float] = page.evaluate(READ, in_place)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--queries", nargs="+", default=list(QUERIES))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--out", type=Path, default=Path("build/bench/page_paint.json"))
    chosen = parser.parse_args()
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    with sync_playwright() as playwright:
        for round_ in range(chosen.rounds):
            for size in chosen.sizes:
                for way in chosen.ways:
                    for url in chosen.urls[:: 1 if round_ % 2 else -1]:
                        browser = playwright.chromium.launch(
                            executable_path=chosen.chromium, args=ARGS
                        )
                        times = measure(browser, url, chosen.queries, (size, way), round_)
                        found.setdefault((size, way, url), []).append(times)
                        browser.close()
    rows: list[dict[str, Any]] = []
    print(f"medians of {chosen.rounds} rounds, ms; load {os.getloadavg()[0]:.1f}")
    print(f"{'size':8} {'way':7} {'frame':>6} {'seen':>6}  server")
    for (size, way, url), measured in sorted(found.items()):
        frame, seen = (
            statistics.median(each[name] for each in measured) for name in ("frame", "seen")
        )
        print(f"{size:8} {way:7} {frame:6.0f} {seen:6.0f}  {url}")
        rows.append({"size": size, "way": way, "url": url, "frame": frame, "seen": seen})
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
