import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from color_encoder import ColorEncoder

from encoders import Embeddings
from search.query.batching import MOST_AT_ONCE, TURNS, QueryBatcher

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
    """Ask for the first texts, which take all turns, and for the others meanwhile."""
    encoder = HeldEncoder()
    batcher = QueryBatcher(encoder.encode_texts)

    def ask(text: str) -> object:
        try:
            return batcher.embed(text)
        except RuntimeError as error:
            return error

    with ThreadPoolExecutor(len(texts)) as pool:
        asked = []
        for text in texts[:TURNS]:
            asked.append(pool.submit(ask, text))
            assert encoder.began.acquire(timeout=20)
        asked += [pool.submit(ask, text) for text in texts[TURNS:]]
        while batcher.waiting < len(texts) - TURNS:
            threading.Event().wait(0.001)
        # One turn first: those that become free at once would share what waits between them.
        encoder.let_go.release()
        assert encoder.began.acquire(timeout=20)
        encoder.let_go.release(len(texts))
        return encoder, [each.result(20) for each in asked]


ONE_BY_ONE = [1] * TURNS
WHITES = [f"white {number}" for number in range(TURNS)]


def test_queries_that_come_meanwhile_share_a_batch_and_each_gets_its_own() -> None:
    count = TURNS + MOST_AT_ONCE + 1
    texts = [f"{COLORS[number % len(COLORS)]} {number}" for number in range(count)]
    encoder, found = _ask_while_held(texts)
    assert encoder.sizes == [*ONE_BY_ONE, MOST_AT_ONCE, 1]
    wanted = ColorEncoder().encode_texts(texts)
    assert np.array_equal(np.stack([np.asarray(each) for each in found]), wanted)


def test_a_batch_that_fails_fails_for_all_that_are_in_it_and_no_other() -> None:
    encoder, found = _ask_while_held([*WHITES, "green", "poison"])
    assert encoder.sizes == [*ONE_BY_ONE, 2]
    wanted = ColorEncoder().encode_texts(WHITES)
    assert np.array_equal(np.stack([np.asarray(each) for each in found[:TURNS]]), wanted)
    assert all(isinstance(each, RuntimeError) for each in found[TURNS:])


def test_a_query_that_several_ask_for_is_embedded_once() -> None:
    texts = [*WHITES, "green", "green", "blue", "green"]
    encoder, found = _ask_while_held(texts)
    assert encoder.sizes == [*ONE_BY_ONE, 2]
    wanted = ColorEncoder().encode_texts(texts)
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
