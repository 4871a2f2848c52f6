"""The README's figures, from the JSON of `make bench FULL=1`: python -m bench.plot

Draws docs/bench-light.svg and docs/bench-dark.svg: indexing against other tools and the limit, one
query by the size of the library, and queries a second by the number of clients.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.plot_drawing import DARK, LIGHT, Axis, Bar, Box, Drawing, Line, Theme

TITLE = "How fast Polyglance indexes and searches, beside other tools and the limits"
WIDTH = 600
NAMES = {
    "plain": "transformers",
    "clip-retrieval": "clip-retrieval",
    "rclip": "rclip",
    "ours, float32": "Polyglance, float32",
    "ours, int8": "Polyglance, 8 bits",
}
LIMITS = ("decode", "forward")
CLIENTS = (1, 4, 16)
BAR_STEP = 30


class MissingFigures(Exception):
    """Names the benchmark that was not run."""


@dataclass(frozen=True)
class Figures:
    """The JSON of the benchmarks, in one folder."""

    folder: Path

    def of(self, name: str) -> Any:
        path = self.folder / f"{name}.json"
        if not path.exists():
            raise MissingFigures(f"{path} is not there: run `python -m bench` or bench.{name}")
        return json.loads(path.read_text("utf-8"))


def indexing_bars(indexing: Any, theme: Theme) -> dict[str, list[Bar]]:
    """By kind of picture. A tool that could not be run has no value."""
    colors = {"ours, float32": theme.ours, "ours, int8": theme.best}

    def bar(column: str, kind: str) -> Bar:
        row = indexing.get(column, {}).get(kind, {})
        limits = [row[limit] for limit in LIMITS if limit in row]
        color = colors.get(column, theme.other)
        return Bar(NAMES[column], row.get("per_second"), color, min(limits, default=None))

    return {kind: [bar(column, kind) for column in NAMES] for kind in indexing["plain"]}


def search_lines(rows: Any, theme: Theme) -> list[Line]:
    """Of picture-like and text-like queries the slower."""

    def slower(way: str) -> list[tuple[float, float]]:
        return [
            (row["pictures"], max(row[f"{way}_ms_{kind}"] for kind in ("picture", "text")))
            for row in rows
        ]

    return [
        Line("Polyglance", slower("file"), theme.best),
        Line("NumPy, float32", slower("numpy_float32"), theme.other),
        Line("limit: reading memory once", slower("limit"), theme.text, dashed=True),
    ]


def client_lines(encoding: Any, theme: Theme) -> list[Line]:
    names = {"int8": ("8 bits", theme.best), "float32": ("float32", theme.ours)}
    found = {precision: encoding[precision] for precision in names if precision in encoding}
    lines = [
        Line(name, [(n, row[f"queries_per_s_{n}_clients"]) for n in CLIENTS], color)
        for row, (name, color) in ((row, names[precision]) for precision, row in found.items())
    ]
    limit = next(iter(found.values()))["queries_per_s_products_alone"]
    points = [(n, limit) for n in CLIENTS]
    return [*lines, Line("limit: matrix products alone", points, theme.text, dashed=True)]


def draw(figures: Figures, theme: Theme) -> str:
    drawing = Drawing(theme, WIDTH, 560)
    peers = figures.of("peers")
    place = f"SigLIP 2 B/16, {peers['cores']} cores"
    drawing.text(WIDTH - 12, 20, place, color=theme.muted, size=14, anchor="end")
    _indexing(drawing, indexing_bars(peers["indexing"], theme))
    searches = search_lines(figures.of("search_speed"), theme)
    _chart(drawing, 0, Words("Finding the nearest ten, ms", "pictures", size_name), searches, True)
    clients = client_lines(figures.of("encoding"), theme)
    _chart(
        drawing,
        320,
        Words("Queries embedded a second", "clients at once", "{:g}".format),
        clients,
        False,
    )
    return drawing.svg(TITLE)


def _indexing(drawing: Drawing, bars: dict[str, list[Bar]]) -> None:
    theme, left = drawing.theme, 160
    drawing.text(0, 20, "Indexing, pictures a second", size=18, bold=True)
    width = (WIDTH - left) / len(bars)
    most = max(max(bar.value or 0, bar.limit or 0) for column in bars.values() for bar in column)
    for number, (kind, column) in enumerate(bars.items()):
        box = Box(left + number * width, 60, width - 12, BAR_STEP * len(column))
        drawing.text(box.left, 50, kind, color=theme.muted)
        drawing.bars(box, column, most)
        for at, bar in enumerate(column if number == 0 else ()):
            y = box.top + BAR_STEP * (at + 0.5) + 5
            ours = bar.color in (theme.ours, theme.best)
            drawing.text(left - 10, y, bar.name, anchor="end", bold=ours)
    y = 60 + BAR_STEP * len(NAMES) + 22
    drawing.line((left, y - 13), (left, y + 2), theme.text, 2)
    drawing.text(left + 9, y, "its limit: decoding or the model, alone", color=theme.muted, size=14)


@dataclass(frozen=True)
class Words:
    title: str
    below: str
    of_x: Callable[[float], str]


def _chart(
    drawing: Drawing, left: float, words: Words, lines: list[Line], logarithmic: bool
) -> None:
    drawing.text(left, 282, words.title, size=18, bold=True)
    drawing.key(left, 308, lines)
    box = Box(left + 36, 362, 200, 143)
    xs = sorted({x for line in lines for x, _ in line.points})
    drawing.lines(box, lines, [words.of_x(x) for x in xs], Axis.around(lines, logarithmic))
    middle = box.left + box.width / 2
    drawing.text(middle, 548, words.below, color=drawing.theme.muted, size=14, anchor="middle")


def size_name(count: float) -> str:
    """10k, 1M"""
    return f"{count / 1e6:g}M" if count >= 1e6 else f"{count / 1e3:g}k"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("build/bench"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    try:
        drawn = {
            "light": draw(Figures(options.results), LIGHT),
            "dark": draw(Figures(options.results), DARK),
        }
    except MissingFigures as error:
        raise SystemExit(str(error)) from None
    for name, svg in drawn.items():
        path = options.out / f"bench-{name}.svg"
        path.write_text(svg, "utf-8")
        print(path)


if __name__ == "__main__":
    main()
