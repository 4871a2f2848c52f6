"""The README's figures are drawn from the benchmarks' own JSON."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.plot import Figures, MissingFigures, draw, main
from bench.plot_drawing import DARK, LIGHT, Axis, Line

SVG = "{http://www.w3.org/2000/svg}"


def write_results(folder: Path) -> None:
    fast = {"per_second": 12.0, "cpu_seconds": 0.15, "decode": 100.0, "forward": 16.0}
    slow = {"per_second": 4.0, "cpu_seconds": 0.5}
    columns = {"plain": slow, "rclip": slow, "ours, float32": slow, "ours, int8": fast}
    indexing = {name: {"12 MP": row, "500 px": row} for name, row in columns.items()}
    results = {
        "peers": {"cores": 2, "indexing": indexing},
        "search_speed": [
            {"pictures": size}
            | {f"file_ms_{kind}": took for kind in ("picture", "text")}
            | {f"limit_ms_{kind}": took / 2 for kind in ("picture", "text")}
            | {f"numpy_float32_ms_{kind}": 3 * took for kind in ("picture", "text")}
            for size, took in ((10_000, 0.4), (1_000_000, 44.0))
        ],
        "encoding": {
            precision: {f"queries_per_s_{clients}_clients": 10.0 for clients in (1, 4, 16)}
            | {"queries_per_s_products_alone": 60.0}
            for precision in ("float32", "int8")
        },
    }
    for name, figures in results.items():
        (folder / f"{name}.json").write_text(json.dumps(figures), "utf-8")


def texts_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_values(tmp_path: Path) -> None:
    write_results(tmp_path)
    drawn = ElementTree.fromstring(draw(Figures(tmp_path), LIGHT))
    widths = {bar.get("fill"): float(bar.get("width", 0)) for bar in drawn.iter(f"{SVG}rect")}
    assert widths[LIGHT.best] == pytest.approx(3 * widths[LIGHT.ours], rel=0.01)


def test_every_figure_is_also_written_out(tmp_path: Path) -> None:
    write_results(tmp_path)
    words = texts_of(draw(Figures(tmp_path), LIGHT))
    assert words.count("12") == 2  # a second, of either kind of picture
    assert {"44", "132", "10k", "1M", "SigLIP 2 B/16, 2 cores"} <= set(words)


def test_a_tool_that_could_not_be_run_has_a_dash_for_a_bar(tmp_path: Path) -> None:
    write_results(tmp_path)
    words = texts_of(draw(Figures(tmp_path), LIGHT))
    assert "clip-retrieval" in words
    assert words.count("–") == 2


def test_either_theme_has_colors_of_its_own(tmp_path: Path) -> None:
    write_results(tmp_path)
    light, dark = (draw(Figures(tmp_path), theme) for theme in (LIGHT, DARK))
    assert LIGHT.text in light
    assert DARK.text in dark
    assert LIGHT.text not in dark
    assert texts_of(light) == texts_of(dark)


def test_a_file_of_each_theme_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path)
    options = ["plot", "--results", str(tmp_path), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", options)
    main()
    assert LIGHT.text in (tmp_path / "bench-light.svg").read_text("utf-8")
    assert DARK.text in (tmp_path / "bench-dark.svg").read_text("utf-8")


def test_a_benchmark_that_was_not_run_is_named(tmp_path: Path) -> None:
    write_results(tmp_path)
    (tmp_path / "encoding.json").unlink()
    with pytest.raises(MissingFigures, match=r"bench\.encoding"):
        draw(Figures(tmp_path), LIGHT)


def test_a_logarithmic_axis_gives_every_decade_the_same_height() -> None:
    axis = Axis.around([Line("", [(1, 0.5), (2, 200.0)], "")], logarithmic=True)
    assert axis.ticks == [1.0, 10.0, 100.0]
    first, second, third = map(axis.up, axis.ticks)
    assert 0 < first < third < 1
    assert third - second == pytest.approx(second - first)


def test_an_axis_from_nothing_begins_at_nothing() -> None:
    axis = Axis.around([Line("", [(1, 9.0), (2, 39.0)], "")], logarithmic=False)
    assert axis.ticks == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert axis.up(0) == 0
