import threading
from pathlib import Path

from drawn_pictures import draw_picture
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from search.engine import SearchEngine
from storage.library import Library
from webui.app import METRICS, create_app
from webui.config import WebConfig


def figures(client: FlaskClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, labels) → value."""
    answer = client.get("/metrics")
    assert answer.mimetype == "text/plain"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def labels(**given: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(given.items()))


def counted(client: FlaskClient, **given: str) -> float:
    return figures(client).get(("polyglance_requests_total", labels(**given)), 0.0)


def test_requests_are_counted_by_route_method_and_status(client: FlaskClient) -> None:
    for image_id in (1, 2, 3, 99):
        client.get(f"/api/v1/images/{image_id}")
    client.post("/api/v1/search", json={"query": "red"})
    route = "/api/v1/images/<int(max=9223372036854775807):image_id>"
    assert counted(client, method="GET", route=route, status="200") == 3
    assert counted(client, method="GET", route=route, status="404") == 1
    assert counted(client, method="POST", route="/api/v1/search", status="200") == 1


def test_nonsense_makes_no_series_of_its_own(client: FlaskClient) -> None:
    def series() -> int:
        return len([key for key in figures(client) if key[0] == "polyglance_requests_total"])

    series()  # counts itself
    before = series()
    for at in range(50):
        client.get(f"/nothing/{at}")
        client.open("/", method=f"X{at}")
    assert series() <= before + 3
    assert counted(client, method="GET", route="unmatched", status="404") == 50


def test_the_stages_of_a_search_are_timed(client: FlaskClient) -> None:
    for _ in range(3):
        client.get("/api/v1/search?q=red")
    found = figures(client)
    for stage in ("embed", "search", "total"):
        assert found["polyglance_search_stage_seconds_count", labels(stage=stage)] == 3
    sums = {
        stage: found["polyglance_search_stage_seconds_sum", labels(stage=stage)]
        for stage in ("embed", "search", "total")
    }
    assert 0 < sums["embed"] + sums["search"] <= sums["total"] * 1.001


def test_the_index_is_described_as_it_stands(
    client: FlaskClient, library: Library, engine: SearchEngine, index, pictures: Path
) -> None:
    found = figures(client)
    assert found["polyglance_pictures", ()] == 6
    assert found["polyglance_searchable_pictures", ()] == 6
    indexed, tail = found["polyglance_index_size", ()], found["polyglance_index_tail", ()]
    assert indexed + tail == 6
    draw_picture(pictures / "late.png", (10, 20, 30))
    index(pictures)
    found = figures(client)
    assert found["polyglance_searchable_pictures", ()] == 7
    assert found["polyglance_index_tail", ()] == tail + 1
    manifest = library.manifest(engine.space)
    assert manifest is not None
    generation = labels(generation=manifest.generation)
    assert found["polyglance_index_generation_info", generation] == 1


def test_the_process_is_described(client: FlaskClient) -> None:
    assert figures(client)["process_resident_memory_bytes", ()] > 1_000_000


def test_requests_at_work_are_counted(engine: SearchEngine) -> None:
    app = create_app(engine, WebConfig())
    entered, leave = threading.Event(), threading.Event()

    @app.get("/slow")
    def slow() -> str:
        entered.set()
        leave.wait(10)
        return "done"

    thread = threading.Thread(target=lambda: app.test_client().get("/slow"))
    thread.start()
    assert entered.wait(10)
    client = app.test_client()
    assert figures(client)["polyglance_requests_in_flight", ()] == 2
    leave.set()
    thread.join(10)
    assert figures(client)["polyglance_requests_in_flight", ()] == 1


def test_the_queue_is_the_servers_own(engine: SearchEngine) -> None:
    app = create_app(engine, WebConfig())
    app.extensions[METRICS].watch_queue(lambda: 5)
    assert figures(app.test_client())["polyglance_queue_depth", ()] == 5


def test_two_apps_keep_their_figures_apart(engine: SearchEngine, client: FlaskClient) -> None:
    client.get("/api/v1/stats")
    other = create_app(engine, WebConfig()).test_client()
    assert counted(other, method="GET", route="/api/v1/stats", status="200") == 0
    assert counted(client, method="GET", route="/api/v1/stats", status="200") == 1
