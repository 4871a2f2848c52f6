"""The panel of filters: what can be chosen, how many pictures each choice would find."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass

from flask_babel import format_decimal, gettext

from storage.facet_places import Cluster
from storage.facets import Facets, degrees_shown, folder_of
from storage.records import PictureFilter
from webui.asked import Asked
from webui.words import iso_day, month_of_year

MAP_WIDTH, MAP_HEIGHT = 360, 180
"""Units of the map: degrees."""
MOST_CLUSTERS = 200


@dataclass(frozen=True)
class Choice:
    label: str
    count: int
    url: str
    on: bool = False
    share: float = 0.0
    """Of the largest count beside it."""


@dataclass(frozen=True)
class Dot:
    """A cluster on the map."""

    x: float
    y: float
    r: float
    count: int
    url: str


@dataclass(frozen=True)
class Panel:
    """What the template lists."""

    total: int
    asked: Asked
    collections: list[Choice]
    folders: list[Choice]
    folder_up: str | None
    folder: str
    dates: list[Choice]
    dates_up: str | None
    cameras: list[Choice]
    orientations: list[Choice]
    sizes: list[Choice]
    formats: list[Choice]
    dots: list[Dot]
    view: tuple[float, float, float, float]
    """Of the map: x, y, width, height."""


def make_panel(asked: Asked, chosen: PictureFilter, facets: Facets) -> Panel:
    folder = folder_of(chosen)
    dates, dates_up = _dates(asked, facets.months)
    view = _view(chosen)
    return Panel(
        total=facets.total,
        asked=asked,
        collections=list(_many(asked, "collection", facets.collections)),
        folders=[
            Choice(name, count, _one(asked, path=f"{folder}{name}/*"))
            for name, count in facets.folders.items()
        ],
        folder_up=_one(asked, path=_above(folder)) if chosen.path_glob else None,
        folder=folder.rstrip("/") or (chosen.path_glob or ""),
        dates=dates,
        dates_up=dates_up,
        cameras=list(_single(asked, "camera", facets.cameras)),
        orientations=list(_single(asked, "orientation", facets.orientations)),
        sizes=list(_sizes(asked, facets.sizes)),
        formats=list(_many(asked, "format", facets.formats)),
        dots=[_dot(asked, each, view) for each in facets.places[:MOST_CLUSTERS]],
        view=view,
    )


def orientation_name(orientation: str) -> str:
    known = {
        "landscape": gettext("Landscape"),
        "portrait": gettext("Portrait"),
        "square": gettext("Square"),
    }
    return str(known.get(orientation, orientation))


def size_name(side: str) -> str:
    return f"≥ {format_decimal(int(side))} px" if side.isdecimal() else side


def _one(asked: Asked, **values: str) -> str:
    return asked.but(chosen=asked.chosen.with_one(**values)).url


def _many(asked: Asked, name: str, counts: dict[str, int]) -> Iterator[Choice]:
    for value, count in counts.items():
        on = asked.chosen.has(name, value)
        label = value.upper() if name == "format" else value
        yield Choice(label, count, asked.but(chosen=asked.chosen.turned(name, value)).url, on)


def _single(asked: Asked, name: str, counts: dict[str, int]) -> Iterator[Choice]:
    for value, count in counts.items():
        on = asked.chosen.get(name) == value
        label = orientation_name(value) if name == "orientation" else value
        yield Choice(label, count, _one(asked, **{name: "" if on else value}), on)


def _sizes(asked: Asked, counts: dict[int, int]) -> Iterator[Choice]:
    for side, count in counts.items():
        value = str(side)
        on = asked.chosen.get("min_width") == asked.chosen.get("min_height") == value
        url = _one(asked, min_width="" if on else value, min_height="" if on else value)
        yield Choice(size_name(value), count, url, on)


def _above(folder: str) -> str:
    parent = folder.rstrip("/").rpartition("/")[0]
    return f"{parent}/*" if parent else ""


def _dates(asked: Asked, months: dict[str, int]) -> tuple[list[Choice], str | None]:
    """Years; or the months of the year that is chosen, or that all pictures are of."""
    chosen = asked.chosen
    after, before = chosen.get("taken_after"), chosen.get("taken_before")
    years: dict[str, int] = {}
    for month, count in months.items():
        years[month[:4]] = years.get(month[:4], 0) + count
    up = _one(asked, taken_after="", taken_before="") if after or before else None
    year = after[:4] if after[:4] == before[:4] and after else ""
    if len(years) == 1:
        year = year or next(iter(years))
    if not year:
        most = max(years.values(), default=1)
        first, last = (int(each) for each in (min(years, default="0"), max(years, default="-1")))
        span = range(max(first, last - 60), last + 1)
        counted = [(f"{number:04d}", years.get(f"{number:04d}", 0)) for number in span]
        return [
            Choice(
                name,
                count,
                _one(asked, taken_after=f"{name}-01-01", taken_before=f"{name}-12-31"),
                share=count / most,
            )
            for name, count in counted
        ], up
    most = max((months.get(f"{year}-{number:02d}", 0) for number in range(1, 13)), default=0)
    return [_month(asked, year, number, (months, max(most, 1))) for number in range(1, 13)], up


def _month(asked: Asked, year: str, number: int, counted: tuple[dict[str, int], int]) -> Choice:
    months, most = counted
    month = f"{year}-{number:02d}"
    count = months.get(month, 0)
    last = monthrange(max(int(year), 1), number)[1] if year.isdecimal() else 28
    first_day, last_day = f"{month}-01", f"{month}-{last:02d}"
    on = asked.chosen.get("taken_after") == first_day
    first = iso_day(first_day)
    return Choice(
        month_of_year(first, "yMMM") if first else month,
        count,
        _one(asked, taken_after=first_day, taken_before=last_day),
        on and asked.chosen.get("taken_before") == last_day,
        count / most,
    )


def _view(chosen: PictureFilter) -> tuple[float, float, float, float]:
    wide = degrees_shown(chosen)
    if chosen.near is None:
        # Nobody takes pictures south of the Antarctic coast often enough to show all of it.
        return 0, 5, MAP_WIDTH, 145
    latitude, longitude, _ = chosen.near
    tall = wide / 2
    x = min(max(longitude + 180 - wide / 2, 0), MAP_WIDTH - wide)
    y = min(max(90 - latitude - tall / 2, 0), MAP_HEIGHT - tall)
    return round(x, 2), round(y, 2), round(wide, 2), round(tall, 2)


def _dot(asked: Asked, cluster: Cluster, view: tuple[float, float, float, float]) -> Dot:
    unit = view[2] / 100
    near = f"{cluster.latitude:g},{cluster.longitude:g},{cluster.km:g}"
    return Dot(
        x=round(cluster.longitude + 180, 2),
        y=round(90 - cluster.latitude, 2),
        r=round(unit * min(1.2 + 0.35 * len(bin(cluster.count)), 5), 3),
        count=cluster.count,
        url=asked.but(chosen=asked.chosen.with_near(near)).url,
    )
