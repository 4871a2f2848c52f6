"""Pictures that crash a decoder or keep it busy: each costs its own request, and nobody else's."""

import base64
import io
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from faulty_preprocessors import FAULTS, FaultyEncoder
from PIL import Image

from imaging.workers import nursery
from search.config import SearchConfig
from search.engine import SearchEngine
from search.errors import PictureRejected
from search.query.decoding import MOST_WORKERS
from search.schemas import ImageInput, SearchRequest
from webui.app import create_app
from webui.config import WebConfig

RED, BLUE = (255, 0, 0), (0, 0, 255)
"""A red picture is what the faulty preprocessors fail at."""


def png(color: tuple[int, int, int], side: int = 40) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), color).save(file, "PNG")
    return file.getvalue()


def search_by(data: bytes) -> dict:
    return {"image": {"base64": base64.b64encode(data).decode()}}


@pytest.fixture
def faulty(engine: SearchEngine) -> Callable[..., SearchEngine]:
    """faulty("abort", …): an engine whose decoders do that with red pictures."""

    def make(fault: str, **config: float) -> SearchEngine:
        return SearchEngine(engine.library, FaultyEncoder(fault), SearchConfig(**config))

    return make


EXPECTED = {
    "abort": (422, "SIGABRT"),
    "segfault": (422, "SIGSEGV"),
    "exit": (422, "exit status 3"),
    "exception": (422, "RuntimeError: no such luck"),
    "hang": (422, "search.decode_seconds"),
    "killed": (413, "memory ran out"),
    "memory": (413, "more memory"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_picture_that_its_decoder_does_not_survive_is_refused_and_the_next_is_found(
    faulty: Callable[..., SearchEngine], fault: str
) -> None:
    engine = faulty(fault, decode_seconds=0.8 if fault == "hang" else 60)
    client = create_app(engine, WebConfig()).test_client()
    refused = client.post("/api/v1/search", json=search_by(png(RED)))
    status, words = EXPECTED[fault]
    assert (refused.status_code, refused.mimetype) == (status, "application/problem+json")
    assert words in refused.json["detail"]
    assert "send " in refused.json["detail"] or "save it anew" in refused.json["detail"]
    found = client.post("/api/v1/search", json=search_by(png(BLUE)))
    assert found.status_code == 200
    assert found.json["hits"][0]["path"] == "sky/blue.png"


def test_every_way_in_refuses_it(faulty: Callable[..., SearchEngine]) -> None:
    client = create_app(faulty("abort"), WebConfig()).test_client()
    image = search_by(png(RED))["image"]
    among = client.post(
        "/api/v1/embeddings", json={"images": [search_by(png(BLUE))["image"], image]}
    )
    assert among.status_code == 422
    assert among.json["errors"][0]["field"] == "images.1.base64"
    labelled = client.post("/api/v1/classify", json={"image": image, "labels": ["red", "blue"]})
    assert labelled.status_code == 422
    kept = client.post("/by-picture", data={"picture": (io.BytesIO(png(RED)), "red.png")})
    page = client.get(kept.location)
    assert page.status_code == 422
    assert "That picture is damaged" in page.text


def test_the_page_says_what_to_do_in_the_readers_language(
    faulty: Callable[..., SearchEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = create_app(faulty("memory"), WebConfig()).test_client()
    reader = {"Accept-Language": "vi"}

    def page_by(data: bytes) -> tuple[int, str]:
        kept = client.post("/by-picture", data={"picture": (io.BytesIO(data), "a.png")})
        page = client.get(kept.location, headers=reader)
        return page.status_code, page.text

    status, words = page_by(png(RED))
    assert (status, "Hãy gửi ảnh nhỏ hơn." in words) == (413, True)
    blue = client.post("/by-picture", data={"picture": (io.BytesIO(png(BLUE)), "b.png")})
    monkeypatch.setattr("sys.executable", "/nowhere/python")  # no worker can be started
    nursery.close()
    page = client.get(blue.location, headers=reader)
    assert (page.status_code, "Hãy thử lại sau giây lát." in page.text) == (503, True)


def test_while_a_decoder_hangs_others_are_served(faulty: Callable[..., SearchEngine]) -> None:
    engine = faulty("hang", decode_seconds=60)
    hanging = SearchRequest(image=ImageInput.model_validate(search_by(png(RED))["image"]))
    sound = SearchRequest(image=ImageInput.model_validate(search_by(png(BLUE))["image"]))
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(engine.search, hanging)
        try:
            for _ in range(3):
                assert engine.search(sound).hits[0].image.path == "sky/blue.png"
            assert not hung.done()
        finally:
            for pid in nursery.pids():
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(PictureRejected, match="killed"):
            hung.result(timeout=20)


def test_pictures_sent_at_once_are_each_answered_by_what_they_show(engine: SearchEngine) -> None:
    colors = [(255, 0, 0), (0, 0, 255), (0, 160, 0), (255, 220, 0), (0, 0, 0), (255, 255, 255)]
    encoder = ColorEncoder()

    def hits(color: tuple[int, int, int]) -> list[float]:
        asked = SearchRequest(image=ImageInput.model_validate(search_by(png(color))["image"]))
        return [hit.score for hit in engine.search(asked).hits]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(hits, colors * 5))
    for color, scores in zip(colors * 5, found, strict=True):
        [here] = encoder.encode_images([Image.new("RGB", (40, 40), color)])
        expected = sorted(
            (float(x) for x in engine.snapshot().nearest(here, 6).scores), reverse=True
        )
        assert scores == pytest.approx(expected, abs=1e-6)


def test_who_gets_no_turn_is_told_to_come_back(faulty: Callable[..., SearchEngine]) -> None:
    app = create_app(faulty("hang", decode_seconds=0.8), WebConfig())
    sent = 3 * MOST_WORKERS
    together = threading.Barrier(sent)

    def answered(data: bytes) -> tuple[int, bool]:
        client = app.test_client()
        together.wait()
        answer = client.post("/api/v1/search", json=search_by(data))
        return answer.status_code, int(answer.headers.get("Retry-After", 0)) > 0

    with ThreadPoolExecutor(sent) as pool:
        assert set(pool.map(answered, [png(RED)] * sent)) == {(422, False), (503, True)}
    assert app.test_client().post("/api/v1/search", json=search_by(png(BLUE))).status_code == 200


def test_a_thumbnail_that_takes_too_long_leaves_the_one_that_is_kept(
    library, encoder: ColorEncoder, index, tmp_path: Path
) -> None:
    (tmp_path / "large").mkdir()
    Image.effect_noise((2000, 2000), 90).convert("RGB").save(tmp_path / "large" / "noise.png")
    index(tmp_path / "large")

    def side_of(seconds: float) -> int:
        engine = SearchEngine(library, encoder, SearchConfig(decode_seconds=seconds))
        answer = (
            create_app(engine, WebConfig())
            .test_client()
            .get("/api/v1/images/1/thumbnail?size=1024")
        )
        with Image.open(io.BytesIO(answer.data)) as shown:
            return max(shown.size)

    assert side_of(0.001) <= 512 < side_of(60)
