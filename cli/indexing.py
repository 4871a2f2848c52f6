"""Running an index job at the terminal: progress, Ctrl-C, and the summary."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import click
from tqdm import tqdm

from cli.precision import calibrate
from encoders import Encoder
from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.reindex import ReindexJob, ReindexReport
from indexer.report import Counts, IndexRequest, JobReport
from indexer.sources.named import find_sources
from indexer.sources.pictures import claims_to_be_a_picture
from indexer.sources.walk import names_below
from storage.library import Library
from storage.spaces import count_to_embed


def run_index_job(
    library: Library, encoder: Encoder, config: IndexConfig, request: IndexRequest
) -> JobReport:
    """With a progress bar on a terminal. Ctrl-C finishes the batch in flight; twice gives up."""
    with _progress_bar(request, config) as show:
        job = IndexJob(library, encoder, config, show, lambda: calibrate(encoder, library))
        with stop_on_signal(job.stop):
            return job.run(request)


def run_reindex_job(
    library: Library, encoder: Encoder, config: IndexConfig, *, switch_anyway: bool
) -> ReindexReport:
    """As `run_index_job`, for all pictures of the library."""
    bar = _bar("Embedding anew")
    bar.total = count_to_embed(library.engine, encoder.space)
    if bar.total:
        calibrate(encoder, library)  # the pictures to try it on are there from the first

    def show(counts: Counts) -> None:
        bar.set_postfix(failed=counts.failed, refresh=False)
        bar.update(counts.embedded - bar.n)

    job = ReindexJob(library, encoder, config, show)
    with closing(bar), stop_on_signal(job.stop):
        return job.run(switch_anyway=switch_anyway)


def _bar(what: str) -> Any:
    return tqdm(
        unit=" pictures",
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
        smoothing=0.05,
        desc=what,
    )


@contextmanager
def _progress_bar(request: IndexRequest, config: IndexConfig) -> Iterator[Any]:
    bar = _bar("Indexing")

    def show(counts: Counts) -> None:
        bar.set_postfix(new=counts.embedded, failed=counts.failed, refresh=False)
        bar.update(counts.seen - bar.n)

    counting_done = threading.Event()

    def count() -> None:
        total = 0
        for named in find_sources(request.sources, request.listed):
            for path in names_below(named, config.exclude):
                total += claims_to_be_a_picture(path)
                if counting_done.is_set():
                    return
        bar.total = total
        bar.refresh()

    if not bar.disable:
        # How many there are is found out beside the work, so that it can begin at once.
        threading.Thread(target=count, name="count", daemon=True).start()
    try:
        yield show
    finally:
        counting_done.set()
        bar.close()


@contextmanager
def stop_on_signal(stop: threading.Event) -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()
        click.echo("\nFinishing the batch in flight … (once more to give up)", err=True)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report_as_json(report: JobReport) -> dict[str, Any]:
    return {
        "job": report.job,
        **asdict(report.counts),
        "seconds": round(report.seconds, 3),
        "images_per_second": round(report.images_per_second, 2),
    }


def report_in_words(report: JobReport, data_dir: Path) -> str:
    counts = report.counts
    lines = [
        f"{counts.seen:,} pictures seen: {counts.new:,} new, {counts.changed:,} changed, "
        f"{counts.moved:,} moved, {counts.unchanged:,} unchanged, {counts.failed:,} failed. "
        f"{counts.embedded:,} embedded in {report.seconds:.1f} s "
        f"({report.images_per_second:.1f} a second)."
    ]
    if counts.failed:
        lines.append(
            f"{counts.failed:,} could not be read; for the reasons: polyglance jobs {report.job}"
        )
    for root in report.kept_back:
        lines.append(
            f"{root} is empty: if its disk is not connected, nothing is lost. Otherwise, to forget "
            f"the pictures that were in it: polyglance remove {root}"
        )
    if counts.removed and report.pruned:
        lines.append(f"{counts.removed:,} that are gone from the disk were forgotten.")
    elif counts.removed and not report.kept_back:
        lines.append(
            f"{counts.removed:,} are gone from the disk and still found; --prune forgets them."
        )
    if not counts.seen and not counts.removed:
        lines.append("There are no pictures in what you named. Is it the right folder?")
    if report.status == "interrupted":
        lines.append(
            "Interrupted; what was read so far is kept. Run the same command again to go on."
        )
    return "\n".join(lines)
