"""Queries of many requests at once, embedded together.

A forward pass over sixteen queries takes far less time than sixteen passes. Nobody waits for a
batch to fill: a query that comes while the encoder is free is embedded at once, and those that
come meanwhile are the next batch. So one client pays nothing, and many share.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from encoders import Embeddings

Vector = NDArray[np.float32]

MOST_AT_ONCE = 16


@dataclass
class _Waiting:
    text: str
    done: bool = False
    embedding: Vector | None = None
    error: BaseException | None = None


@dataclass
class QueryBatcher:
    """Safe to share between threads; that is what it is for."""

    encode_texts: Callable[[Sequence[str]], Embeddings]
    _queue: list[_Waiting] = field(default_factory=list)
    _queue_lock: threading.Lock = field(default_factory=threading.Lock)
    _encoding: threading.Lock = field(default_factory=threading.Lock)

    def embed(self, text: str) -> Vector:
        """(dim,). Raises what the encoder raises for the batch that the text was in."""
        mine = _Waiting(text)
        with self._queue_lock:
            self._queue.append(mine)
        # Whoever gets the encoder embeds for all that wait; mine may be done by then. If it is
        # not, it is among the first sixteen soon: each turn takes the oldest.
        while not mine.done:
            with self._encoding:
                if not mine.done:
                    self._embed_waiting()
        if mine.error is not None:
            raise mine.error
        assert mine.embedding is not None
        return mine.embedding

    def _embed_waiting(self) -> None:
        with self._queue_lock:
            batch = self._queue[:MOST_AT_ONCE]
            del self._queue[:MOST_AT_ONCE]
        try:
            embeddings = self.encode_texts([each.text for each in batch])
        except BaseException as error:  # noqa: BLE001  (each of them raises it)
            for each in batch:
                each.error, each.done = error, True
            return
        for each, embedding in zip(batch, embeddings, strict=True):
            each.embedding, each.done = embedding, True

    @property
    def waiting(self) -> int:
        """Queries that no batch has taken yet."""
        return len(self._queue)
