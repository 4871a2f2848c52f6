"""What the README's figures are drawn with: SVG by hand, in the colours of GitHub's two themes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

VALUE_WIDTH = 46
LINE_HEIGHT = 17
FONT = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Theme:
    text: str
    muted: str
    grid: str
    best: str
    ours: str
    other: str


LIGHT = Theme("#1f2328", "#59636e", "#d1d9e0", "#0969da", "#80b4ee", "#afb8c1")
DARK = Theme("#f0f6fc", "#9198a1", "#3d444d", "#4493f8", "#3868a6", "#656c76")


@dataclass(frozen=True)
class Bar:
    name: str
    value: float | None
    color: str
    limit: float | None = None


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]
    color: str
    dashed: bool = False


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Axis:
    """Upwards: from nothing, or logarithmic."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def around(cls, lines: Sequence[Line], logarithmic: bool) -> "Axis":
        values = [y for line in lines for _, y in line.points]
        return cls(min(values) / 1.25 if logarithmic else 0.0, max(values) * 1.25, logarithmic)

    def up(self, value: float) -> float:
        """0 at the bottom, 1 at the top."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return value / self.high

    @property
    def ticks(self) -> list[float]:
        """Powers of ten; from nothing, some four round values."""
        if self.logarithmic:
            return [
                t for t in (10.0**power for power in range(-3, 7)) if self.low <= t <= self.high
            ]
        steps = (step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5))
        step = next(step for step in steps if self.high / step <= 5)
        return [step * count for count in range(int(self.high / step) + 1)]


@dataclass
class Drawing:
    theme: Theme
    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def text(  # noqa: PLR0913 - x, y and what it looks like
        self,
        x: float,
        y: float,
        words: str,
        *,
        color: str = "",
        size: int = 15,
        anchor: str = "",
        bold: bool = False,
    ) -> None:
        look = f' text-anchor="{anchor}"' if anchor else ""
        look += ' font-weight="600"' if bold else ""
        look += f' fill="{color or self.theme.text}" font-size="{size}"'
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{look}>{escape(words)}</text>')

    def line(
        self, start: tuple[float, float], end: tuple[float, float], color: str, width: float = 1
    ) -> None:
        (x1, y1), (x2, y2) = start, end
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{color}" stroke-width="{width}"/>'
        )

    def bars(self, box: Box, bars: Sequence[Bar], most: float) -> None:
        """One below the other, each with its value, and its limit as an upright line."""
        step = box.height / len(bars)
        scale = (box.width - VALUE_WIDTH) / most
        for number, bar in enumerate(bars):
            top = box.top + number * step
            if bar.value is None:
                self.text(box.left + 2, top + step / 2 + 5, "–", color=self.theme.muted)
                continue
            end = box.left + max(scale * bar.value, 1)
            self.parts.append(
                f'<rect x="{box.left:.1f}" y="{top + 4:.1f}" width="{end - box.left:.1f}" '
                f'height="{step - 8:.1f}" rx="2" fill="{bar.color}"/>'
            )
            if bar.limit is not None:
                limit = box.left + scale * bar.limit
                self.line((limit, top + 1), (limit, top + step - 1), self.theme.text, 2)
                if limit < end + VALUE_WIDTH:
                    end = max(end, limit)  # no room between the two
            self.text(end + 7, top + step / 2 + 5, two_digits(bar.value))

    def lines(self, box: Box, lines: Sequence[Line], names: Sequence[str], axis: Axis) -> None:
        """`names` are of the x of all lines, in order; these stand at equal distances."""
        xs = sorted({x for line in lines for x, _ in line.points})

        def place(x: float, y: float) -> tuple[float, float]:
            across = xs.index(x) / max(len(xs) - 1, 1)
            return box.left + across * box.width, box.top + (1 - axis.up(y)) * box.height

        for tick in axis.ticks:
            _, y = place(xs[0], tick)
            self.line((box.left, y), (box.left + box.width, y), self.theme.grid)
            self.text(box.left - 8, y + 5, f"{tick:g}", color=self.theme.muted, anchor="end")
        bottom = box.top + box.height
        for x, name in zip(xs, names, strict=True):
            at, _ = place(x, axis.low)
            self.text(at, bottom + 20, name, color=self.theme.muted, anchor="middle")
        ends = []
        for line in lines:
            places = [place(*point) for point in line.points]
            self._line(line, places)
            ends.append((places[-1], two_digits(line.points[-1][1])))
        self._ends(ends)

    def _line(self, line: Line, places: Sequence[tuple[float, float]]) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dash = ' stroke-dasharray="2 5"' if line.dashed else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2.5" '
            f'stroke-linecap="round" stroke-linejoin="round"{dash}/>'
        )
        if not line.dashed:
            self.parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{line.color}"/>' for x, y in places
            ]

    def _ends(self, ends: list[tuple[tuple[float, float], str]]) -> None:
        """The last values, apart from each other, from the lowest up."""
        free = math.inf
        for (x, y), words in sorted(ends, key=lambda end: -end[0][1]):
            at = min(y, free)
            self.text(x + 10, at + 5, words)
            free = at - LINE_HEIGHT

    def key(self, x: float, y: float, entries: Sequence[Line]) -> None:
        """One entry below the other."""
        for number, entry in enumerate(entries):
            at = y + 20 * number
            dash = ' stroke-dasharray="2 5"' if entry.dashed else ""
            self.parts.append(
                f'<line x1="{x:.1f}" y1="{at - 5:.1f}" x2="{x + 18:.1f}" y2="{at - 5:.1f}" '
                f'stroke="{entry.color}" stroke-width="3" stroke-linecap="round"{dash}/>'
            )
            self.text(x + 26, at, entry.name, color=self.theme.muted, size=14)

    def svg(self, title: str) -> str:
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
                f'viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" '
                f'font-family="{FONT}">',
                *self.parts,
                "</svg>\n",
            ]
        )


def two_digits(value: float) -> str:
    """All digits of what is larger."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
