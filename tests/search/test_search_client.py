import http.server
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from color_encoder import DIM, ColorEncoder

from search.client import ApiError, Client, picture
from search.schemas import Filters, SearchRequest, Term


@pytest.fixture
def remote(server_url: str) -> Client:
    return Client(server_url + "/", timeout_s=10)


def test_words_and_whole_requests_find_pictures(remote: Client, pictures: Path) -> None:
    assert remote.search("màu đỏ").hits[0].path == "red.png"
    asked = SearchRequest(
        image=picture(pictures / "sky" / "blue.png"),
        negative=[Term(text="white", weight=0.5)],
        filters=Filters(path="sky/*"),
        limit=1,
    )
    answer = remote.search(asked)
    assert [hit.path for hit in answer.hits] == ["sky/blue.png"]
    more = remote.search(asked.model_copy(update={"cursor": answer.next_cursor}))
    assert [hit.path for hit in more.hits] == ["sky/white cloud.png"]


def test_a_picture_is_looked_up_and_others_like_it(remote: Client) -> None:
    red = remote.search("red").hits[0]
    assert remote.image(red.id).width == 64
    similar = remote.similar(red.id, limit=2)
    assert len(similar.hits) == 2
    assert red.id not in [hit.id for hit in similar.hits]


def test_pictures_are_classified_and_embedded(remote: Client, pictures: Path) -> None:
    blue = (pictures / "sky" / "blue.png").read_bytes()
    assert remote.classify(picture(blue), ["red", "xanh dương"]).labels[0].label == "xanh dương"
    answer = remote.embeddings(["red"], [picture(1), picture(blue)])
    assert np.array_equal(answer.texts, ColorEncoder().encode_texts(["red"]))
    assert np.array(answer.images).shape == (2, DIM)


def test_a_refusal_carries_the_problem(remote: Client) -> None:
    with pytest.raises(ApiError, match=r"^422 .*limit") as refused:
        remote.search(SearchRequest(query="red", limit=5000))
    assert [each.field for each in refused.value.problem.errors] == ["limit"]
    with pytest.raises(ApiError) as unknown:
        remote.image(999)
    assert unknown.value.problem.status == 404
    with pytest.raises(ApiError) as no_picture:
        remote.classify(picture(b"plain text"), ["x"])
    assert no_picture.value.problem.status == 415


def test_a_refusal_that_is_no_problem_document_still_tells_its_status() -> None:
    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(502)

        def log_message(self, *args: object) -> None:
            """Tests have no use for it."""

    with http.server.HTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(ApiError, match=r"^502 Bad Gateway"):
            Client(f"http://127.0.0.1:{server.server_port}").image(1)
        thread.join(timeout=10)


def test_a_server_out_of_reach_and_a_wrong_address_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        Client(f"http://127.0.0.1:{port}").image(1)
    with pytest.raises(ValueError, match="http://"):
        Client("file:///etc/passwd")
