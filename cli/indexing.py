"""Running an index job at the terminal: progress, Ctrl-C, and the summary."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import click
from tqdm import tqdm

from encoders import Encoder
from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import Counts, IndexRequest, JobReport
from indexer.scan import claims_to_be_a_picture, names_below, resolve_source
from storage.library import Library


def run_index_job(
    library: Library, encoder: Encoder, config: IndexConfig, request: IndexRequest
) -> JobReport:
    """With a progress bar on a terminal. Ctrl-C finishes the batch in flight; twice gives up."""
    with _progress_bar(request.sources, config) as show:
        job = IndexJob(library, encoder, config, show)
        with _stop_on_signal(job.stop):
            return job.run(request)


@contextmanager
def _progress_bar(sources: Sequence[str], config: IndexConfig) -> Iterator[Any]:
    bar = tqdm(
        unit=" pictures",
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
        smoothing=0.05,
        desc="Indexing",
    )

    def show(counts: Counts) -> None:
        bar.set_postfix(new=counts.embedded, failed=counts.failed, refresh=False)
        bar.update(counts.seen - bar.n)

    counting_done = threading.Event()

    def count() -> None:
        total = 0
        for name in sources:
            for path in names_below(resolve_source(name), config.exclude):
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
def _stop_on_signal(stop: threading.Event) -> Iterator[None]:
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
    if counts.removed and report.pruned:
        lines.append(f"{counts.removed:,} that are gone from the disk were forgotten.")
    elif counts.removed:
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
