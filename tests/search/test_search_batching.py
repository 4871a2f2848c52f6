import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from color_encoder import ColorEncoder

from encoders import Embeddings
from search.query.batching import MOST_AT_ONCE, QueryBatcher

COLORS = ("red", "green", "blue", "yellow", "white", "black")


class HeldEncoder:
    """The color encoder: its batches wait until they are let go, and it notes their sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.began, self.let_go = threading.Semaphore(0), threading.Semaphore(0)
        self._encoder = ColorEncoder()

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        self.sizes.append(len(texts))
        self.began.release()
        assert self.let_go.acquire(timeout=20)
        if "poison" in texts:
            raise RuntimeError("the encoder failed")
        return self._encoder.encode_texts(texts)


def test_one_query_is_embedded_at_once() -> None:
    encoder = ColorEncoder()
    batcher = QueryBatcher(encoder.encode_texts)
    assert np.array_equal(batcher.embed("red"), encoder.encode_texts(["red"])[0])


def _ask_while_held(texts: Sequence[str]) -> tuple[HeldEncoder, list[object]]:
    """Ask for the first text, and for the others while it is being embedded."""
    encoder = HeldEncoder()
    batcher = QueryBatcher(encoder.encode_texts)

    def ask(text: str) -> object:
        try:
            return batcher.embed(text)
        except RuntimeError as error:
            return error

    with ThreadPoolExecutor(len(texts)) as pool:
        first = pool.submit(ask, texts[0])
        assert encoder.began.acquire(timeout=20)
        others = [pool.submit(ask, text) for text in texts[1:]]
        while batcher.waiting < len(texts) - 1:
            threading.Event().wait(0.001)
        encoder.let_go.release(len(texts))
        return encoder, [each.result(20) for each in (first, *others)]


def test_queries_that_come_meanwhile_share_a_batch_and_each_gets_its_own() -> None:
    texts = [f"{COLORS[number % len(COLORS)]} {number}" for number in range(1 + MOST_AT_ONCE + 3)]
    encoder, found = _ask_while_held(texts)
    assert encoder.sizes == [1, MOST_AT_ONCE, 3]
    wanted = ColorEncoder().encode_texts(texts)
    assert np.array_equal(np.stack([np.asarray(each) for each in found]), wanted)


def test_a_batch_that_fails_fails_for_all_that_are_in_it_and_no_other() -> None:
    encoder, found = _ask_while_held(["red", "green", "poison"])
    assert encoder.sizes == [1, 2]
    assert np.array_equal(np.asarray(found[0]), ColorEncoder().encode_texts(["red"])[0])
    assert all(isinstance(each, RuntimeError) for each in found[1:])


def test_who_is_done_goes_on_while_the_next_pass_runs() -> None:
    encoder = HeldEncoder()
    batcher = QueryBatcher(encoder.encode_texts)

    def wait_for(count: int) -> None:
        while batcher.waiting < count:
            threading.Event().wait(0.001)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batcher.embed, "red")
        assert encoder.began.acquire(timeout=20)
        second = [pool.submit(batcher.embed, text) for text in ("green", "blue")]
        wait_for(2)
        encoder.let_go.release()
        assert encoder.began.acquire(timeout=20)
        assert first.result(20).shape == (ColorEncoder().space.dim,)
        third = pool.submit(batcher.embed, "white")
        wait_for(1)
        encoder.let_go.release()
        assert encoder.began.acquire(timeout=20)
        for each in second:
            each.result(20)
        assert not third.done()
        encoder.let_go.release()
        third.result(20)
    assert encoder.sizes == [1, 2, 1]


def test_a_query_that_several_ask_for_is_embedded_once() -> None:
    encoder, found = _ask_while_held(["red", "green", "green", "blue", "green"])
    assert encoder.sizes == [1, 2]
    wanted = ColorEncoder().encode_texts(["red", "green", "green", "blue", "green"])
    assert np.array_equal(np.stack([np.asarray(each) for each in found]), wanted)


def test_after_a_failure_the_next_query_is_embedded() -> None:
    encoder = HeldEncoder()
    encoder.let_go.release(2)
    batcher = QueryBatcher(encoder.encode_texts)
    with pytest.raises(RuntimeError):
        batcher.embed("poison")
    assert np.array_equal(batcher.embed("red"), ColorEncoder().encode_texts(["red"])[0])


@pytest.mark.parametrize("clients", [16])
def test_many_clients_all_get_the_right_answer(clients: int) -> None:
    encoder = ColorEncoder()
    batcher = QueryBatcher(encoder.encode_texts)
    texts = [f"{COLORS[number % len(COLORS)]} {number}" for number in range(200)]
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(batcher.embed, texts))
    assert np.stack(found) == pytest.approx(encoder.encode_texts(texts), abs=1e-6)
