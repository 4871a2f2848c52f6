"""The filters that are set, as chips in the search box."""

from dataclasses import dataclass

from flask_babel import format_date, format_decimal, gettext

from webui.asked import Asked
from webui.filter_panel import orientation_name, size_name
from webui.words import iso_day, month_of_year, place


@dataclass(frozen=True)
class FilterChip:
    label: str
    without_url: str


def filter_chips(asked: Asked) -> list[FilterChip]:
    chosen = asked.chosen
    chips = [
        FilterChip(
            value.upper() if name == "format" else value,
            asked.but(chosen=chosen.turned(name, value)).url,
        )
        for name, value in chosen.many
    ]

    def add(label: str, *names: str) -> None:
        without = chosen.with_one(**dict.fromkeys(names, ""))
        chips.append(FilterChip(label, asked.but(chosen=without).url))

    for name, value in chosen.one:
        if name == "path":
            add(value.removesuffix("/*") if value.count("*") == 1 else value, name)
        elif name == "camera":
            add(value, name)
        elif name == "orientation":
            add(orientation_name(value), name)
    after, before = chosen.get("taken_after"), chosen.get("taken_before")
    if after or before:
        add(_span(after, before), "taken_after", "taken_before")
    side = chosen.get("min_width") or chosen.get("min_height")
    if side:
        add(size_name(side), "min_width", "min_height")
    if chosen.near:
        chips.append(FilterChip(_near(chosen.near), asked.but(chosen=chosen.with_near("")).url))
    return chips


def _span(after: str, before: str) -> str:
    """A year or a month by its name, else both days."""
    if after[5:] == "01-01" and before == f"{after[:4]}-12-31":
        return after[:4]
    first, last = iso_day(after), iso_day(before)
    if first and last and first.day == 1 and (first.year, first.month) == (last.year, last.month):
        return month_of_year(first, "yMMMM")
    days = (format_date(day, "medium", rebase=False) if day else "…" for day in (first, last))
    return " – ".join(map(str, days))


def _near(near: str) -> str:
    try:
        latitude, longitude, km = (float(part) for part in near.split(","))
    except ValueError:
        return near
    return str(
        gettext(
            "within %(km)s km of %(place)s",
            km=format_decimal(km),
            place=place(latitude, longitude, "0.#"),
        )
    )
