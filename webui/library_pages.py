"""How the library stands: its collections, its jobs, the model it is searched with."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator

from flask import (
    Blueprint,
    Response,
    abort,
    copy_current_request_context,
    render_template,
)

from search.http import answers
from storage.facets import browse
from storage.jobs import get_job, list_failures, list_jobs
from storage.pictures import count_by_collection
from storage.records import FailureRecord, JobRecord, PictureFilter
from webui.asked import Asked
from webui.chosen import Chosen
from webui.pages import Pages

FAILURES_SHOWN = 200
JOBS_SHOWN = 20
PICTURES_A_COLLECTION = 8
MOST_STREAMS = 2
"""Each holds one of the server's few threads; who comes later asks again every few seconds."""
STREAM_S = 60
"""A browser comes back by itself when a stream has ended."""
LOOK_EVERY_S = 1.0


def add_library(pages: Blueprint, of: Pages) -> None:
    catalog = of.engine.library.engine

    @pages.get("/status")
    def status() -> str:
        return render_template(
            "status.html",
            stats=answers.stats(of.engine),
            space=of.engine.space,
            free_bytes=shutil.disk_usage(of.engine.library.data_dir).free,
            failures=_shown(list_failures(catalog, limit=FAILURES_SHOWN)),
            jobs=list_jobs(catalog, limit=5),
            shown_path=answers.shown_path,
        )

    @pages.get("/collections")
    def collections() -> str:
        found = []
        for name, count in count_by_collection(catalog).items():
            asked = Asked(chosen=Chosen(many=(("collection", name),)))
            chosen = PictureFilter(collections=(name,))
            ids = browse(catalog, chosen, limit=PICTURES_A_COLLECTION)
            found.append((name, count, asked.url, of.tiles(ids, asked)))
        return render_template("collections.html", collections=found)

    @pages.get("/starter")
    def starter() -> str:
        if of.config.model_notice is None:
            abort(404)
        return render_template("starter.html", checkpoint=of.engine.space.checkpoint)


def add_jobs(pages: Blueprint, of: Pages) -> None:
    catalog = of.engine.library.engine
    streams = threading.BoundedSemaphore(MOST_STREAMS)

    @pages.get("/jobs")
    def jobs() -> str:
        return render_template("jobs.html", jobs=_jobs(), shown_path=answers.shown_path)

    @pages.get("/jobs/list")
    def jobs_list() -> str:
        return _fragment(_jobs())

    @pages.get("/jobs/events")
    def jobs_events() -> Response:
        if not streams.acquire(blocking=False):
            # EventSource takes this for "never again"; the page then asks for the list instead.
            return Response(status=204)
        # In a context of its own each time: the stream outlives its request.
        fragment = copy_current_request_context(_fragment)
        response = Response(_events(_jobs, fragment), mimetype="text/event-stream")
        response.call_on_close(streams.release)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        return response

    @pages.get("/jobs/<int(max=9223372036854775807):job_id>")
    def job(job_id: int) -> str:
        record = get_job(catalog, job_id)
        if record is None:
            abort(404)
        failures = list_failures(catalog, job_id, limit=FAILURES_SHOWN)
        return render_template(
            "jobs.html", jobs=[record], failures=_shown(failures), shown_path=answers.shown_path
        )

    def _jobs() -> list[JobRecord]:
        return list_jobs(catalog, limit=JOBS_SHOWN)


def _fragment(jobs: list[JobRecord]) -> str:
    return render_template("_jobs.html", jobs=jobs, shown_path=answers.shown_path)


def _events(
    jobs: Callable[[], list[JobRecord]], fragment: Callable[[list[JobRecord]], str]
) -> Iterator[str]:
    """The list as it is, and again whenever it has changed."""
    until = time.monotonic() + STREAM_S
    said: list[JobRecord] | None = None
    while time.monotonic() < until:
        now = jobs()
        if now != said:
            lines = fragment(now).splitlines()
            yield "".join(f"data: {line}\n" for line in lines if line) + "\n"
            said = now
        else:
            yield ":\n\n"  # so that a reader who has gone is noticed
        time.sleep(LOOK_EVERY_S)


def _shown(failures: list[FailureRecord]) -> list[tuple[str, FailureRecord]]:
    return [(answers.shown_path(each.path), each) for each in failures]
