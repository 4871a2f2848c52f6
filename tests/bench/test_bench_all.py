"""`make bench` runs every benchmark with options that it has."""

import importlib.util
from pathlib import Path

import pytest

from bench import __main__ as bench_all
from bench.__main__ import BENCHMARKS, Benchmark, run_all


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_each_benchmark_knows_the_options_it_is_run_with(benchmark: Benchmark) -> None:
    spec = importlib.util.find_spec(f"bench.{benchmark.name}")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).read_text("utf-8")
    options = (*benchmark.small.split(), *benchmark.full.split(), "--json")
    unknown = [name for name in options if name.startswith("--") and f'"{name}"' not in source]
    assert not unknown


def test_one_that_fails_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_all, "RESULTS", tmp_path / "results")
    fails = Benchmark("report")  # which writes no JSON
    works = Benchmark("writing", "--pictures 10 --rows 100")
    assert not run_all((fails, works), full=False)
    said = capfd.readouterr().out
    assert "FAILED (exit 2)" in said
    assert str(works.results) in said
    assert works.results.exists()
    assert run_all((works,), full=False)


def test_figures_of_an_older_run_do_not_stand_for_one_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_all, "RESULTS", tmp_path)
    fails = Benchmark("report")
    fails.results.write_text("{}")
    run_all((fails,), full=False)
    assert not fails.results.exists()
