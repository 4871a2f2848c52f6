"""A server whose library moves to another model while it runs."""

from color_encoder import ColorEncoder
from flask.testing import FlaskClient

from indexer.config import IndexConfig
from indexer.reindex import ReindexJob
from search.engine import SearchEngine
from storage.library import Library


def first_hit(client: FlaskClient) -> str:
    return client.get("/api/v1/search", query_string={"q": "blue", "limit": 1}).json["hits"][0][
        "path"
    ]


def test_it_goes_on_with_its_own_says_so_and_is_not_ready_once_that_is_removed(
    client: FlaskClient, engine: SearchEngine, library: Library
) -> None:
    assert client.get("/readyz").json["superseded_by"] is None
    newer = ColorEncoder("newer colors", version=2)
    ReindexJob(library, newer, IndexConfig(workers=1)).run()
    assert first_hit(client) == "sky/blue.png"
    ready = client.get("/readyz").json
    assert (ready["model"], ready["superseded_by"]) == ("colors", "newer colors")
    assert client.get("/api/v1/stats").json["superseded_by"] == "newer colors"

    library.remove_space(engine.space)
    for path in ("/readyz", "/api/v1/search?q=blue"):
        response = client.get(path)
        assert response.status_code == 503
        assert "newer colors" in response.json["detail"]
        assert "Start the server again" in response.json["detail"]
