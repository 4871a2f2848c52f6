"""What Prometheus may ask: requests, latency by stage, the queue, the index, the process."""

import logging
import time
from collections.abc import Callable, Iterator

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from search.engine import SearchEngine, SearchResult
from search.http.problems import register_problems
from storage.errors import LibraryError
from storage.pictures import count_images

STAGE_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
METHODS = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"}
"""Every other is counted as one: a client may call its method what it likes."""
log = logging.getLogger(__name__)


class Metrics:
    """The figures of one app, in a registry of its own."""

    def __init__(self, engine: SearchEngine) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "polyglance_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._took = Histogram(
            "polyglance_request_seconds",
            "Time until the answer began.",
            ("route",),
            registry=self.registry,
            buckets=STAGE_BOUNDS_S,
        )
        self._stages = Histogram(
            "polyglance_search_stage_seconds",
            "Time of a search by stage: embed, search, total.",
            ("stage",),
            registry=self.registry,
            buckets=STAGE_BOUNDS_S,
        )
        self._in_flight = Gauge(
            "polyglance_requests_in_flight", "Requests at work now.", registry=self.registry
        )
        self._queued = Gauge(
            "polyglance_queue_depth", "Requests that wait for a thread.", registry=self.registry
        )
        self.registry.register(_IndexFigures(engine))
        ProcessCollector(registry=self.registry)
        engine.observers.append(self.note_search)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """depth: of the server, asked at every reading."""
        self._queued.set_function(depth)

    def note_search(self, result: SearchResult) -> None:
        for stage, milliseconds in (
            ("embed", result.embed_ms),
            ("search", result.search_ms),
            ("total", result.total_ms),
        ):
            self._stages.labels(stage).observe(milliseconds / 1000)

    def count_requests(self, app: Flask) -> None:
        @app.before_request
        def _begun() -> None:
            g.metrics_began = time.perf_counter()
            self._in_flight.inc()

        @app.after_request
        def _answered(response: Response) -> Response:
            method = request.method if request.method in METHODS else "other"
            self._requests.labels(method, route_name(), response.status_code).inc()
            self._took.labels(route_name()).observe(time.perf_counter() - g.metrics_began)
            return response

        @app.teardown_request
        def _ended(_error: BaseException | None) -> None:
            if "metrics_began" in g:
                self._in_flight.dec()


class _IndexFigures(Collector):
    """Read when they are asked for."""

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            snapshot = self._engine.snapshot()
            pictures = count_images(self._engine.library.engine)
        except (SQLAlchemyError, LibraryError, OSError):
            log.exception("the index can't be read for /metrics")
            yield GaugeMetricFamily("polyglance_library_up", "Whether it can be read.", value=0)
            return
        manifest = snapshot.manifest
        yield GaugeMetricFamily("polyglance_library_up", "Whether it can be read.", value=1)
        yield GaugeMetricFamily("polyglance_pictures", "Pictures in the library.", pictures)
        yield GaugeMetricFamily(
            "polyglance_searchable_pictures", "Pictures that can be found.", len(snapshot.image_ids)
        )
        yield GaugeMetricFamily(
            "polyglance_index_size", "Rows of the index.", manifest.count if manifest else 0
        )
        yield GaugeMetricFamily(
            "polyglance_index_tail",
            "Rows beside the index, scanned one by one.",
            len(snapshot.tail_ids),
        )
        generation = GaugeMetricFamily(
            "polyglance_index_generation_info", "The index in use.", labels=("generation",)
        )
        generation.add_metric([manifest.generation if manifest else ""], 1)
        yield generation


def route_name() -> str:
    """The route's pattern, not the path: ids and nonsense must not make series without end."""
    return request.url_rule.rule if request.url_rule is not None else "unmatched"


def make_blueprint(metrics: Metrics) -> Blueprint:
    blueprint = Blueprint("metrics", __name__)
    register_problems(blueprint)

    @blueprint.get("/metrics")
    def _metrics() -> Response:
        response = Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)
        response.headers["Cache-Control"] = "no-store"
        return response

    return blueprint
