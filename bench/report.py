"""The figures of `make bench` as Markdown tables, for docs/performance.md: python -m bench.report

Reads every JSON in build/bench, or only those that are named: python -m bench.report pipeline
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def tables(title: str, figures: Any) -> list[str]:
    """Records as rows; named groups of figures as columns; what is deeper as tables of its own."""
    if isinstance(figures, list) and figures and all(_is_flat(row) for row in figures):
        columns = list(dict.fromkeys(name for row in figures for name in row))
        rows = [[row.get(name) for name in columns] for row in figures]
        return [f"**{title}**", "", *_table(columns, rows), ""]
    if isinstance(figures, list):
        numbered = {f"{title} {number}": one for number, one in enumerate(figures, 1)}
        return [line for name, one in numbered.items() for line in tables(name, one)]
    if _is_flat(figures):
        return [f"**{title}**", "", *_table(["", ""], [list(row) for row in figures.items()]), ""]
    groups = {name: value for name, value in figures.items() if isinstance(value, dict) and value}
    if groups and all(map(_is_nested_once, groups.values())):
        # A name's kinds, and figures of each: a row a name.
        records = [
            {"": name} | {f"{kind} {key}": x for kind, row in of.items() for key, x in row.items()}
            for name, of in groups.items()
        ]
        lines = tables(title, records)
    elif groups and all(_is_flat(group) for group in groups.values()):
        names = dict.fromkeys(name for group in groups.values() for name in group)
        rows = [[name, *(group.get(name) for group in groups.values())] for name in names]
        lines = [f"**{title}**", "", *_table(["", *groups], rows), ""]
    else:
        lines = [line for name, one in groups.items() for line in tables(f"{title}: {name}", one)]
    lists = {name: value for name, value in figures.items() if isinstance(value, list) and value}
    for name, value in lists.items():
        lines += tables(f"{title}: {name}", value)
    plain = {name: value for name, value in figures.items() if not isinstance(value, dict | list)}
    return (tables(title, plain) if plain else []) + lines


def _is_flat(value: Any) -> bool:
    return isinstance(value, dict) and not any(
        isinstance(inner, dict | list) for inner in value.values()
    )


def _is_nested_once(value: Any) -> bool:
    return bool(value) and all(_is_flat(inner) for inner in value.values())


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = [columns, ["-"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cell(value: Any) -> str:
    """Three digits, or all of a whole number."""
    if value is None:
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="benchmarks; all that were run, if none is named")
    parser.add_argument("--results", type=Path, default=Path("build/bench"))
    options = parser.parse_args()
    paths = [options.results / f"{name}.json" for name in options.names]
    for path in paths or sorted(options.results.glob("*.json")):
        if not path.exists():
            raise SystemExit(
                f"{path} is not there: run `python -m bench.{path.stem} --json {path}`"
            )
        print(f"## {path.stem}\n")
        print("\n".join(tables(path.stem, json.loads(path.read_text("utf-8")))))


if __name__ == "__main__":
    main()
