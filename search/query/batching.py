"""Queries of many requests at once, embedded together.

A forward pass over sixteen queries takes less time than sixteen passes, and keeps all cores at
work. Nobody waits for a batch to fill: a query that comes while the encoder is free is embedded at
once, and those that come meanwhile are the next batch. So one client pays nothing, and many share.
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
    woken: threading.Event = field(default_factory=threading.Event)
    """Set when it is embedded, and when it is its turn to embed for all that wait."""
    embedding: Vector | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.embedding is not None or self.error is not None


@dataclass
class QueryBatcher:
    """Safe to share between threads; that is what it is for."""

    encode_texts: Callable[[Sequence[str]], Embeddings]
    _queue: list[_Waiting] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _encoding: bool = False
    """Somebody embeds, or has been told to."""

    def embed(self, text: str) -> Vector:
        """(dim,). Raises what the encoder raises for the batch that the text was in."""
        mine = _Waiting(text)
        with self._lock:
            self._queue.append(mine)
            turn_is_mine, self._encoding = not self._encoding, True
        if not turn_is_mine:
            mine.woken.wait()
        if not mine.done:
            self._embed_waiting()
        if mine.error is not None:
            raise mine.error
        assert mine.embedding is not None
        return mine.embedding

    def _embed_waiting(self) -> None:
        """For the oldest, of whom the caller is the first."""
        with self._lock:
            batch = self._queue[:MOST_AT_ONCE]
            del self._queue[:MOST_AT_ONCE]
        places = {text: place for place, text in enumerate(dict.fromkeys(w.text for w in batch))}
        try:
            embeddings = self.encode_texts(list(places))
            for each in batch:
                each.embedding = embeddings[places[each.text]].copy()
        except BaseException as error:  # noqa: BLE001  (each of them raises it)
            for each in batch:
                each.error = error
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._encoding = following is not None
        # The next pass begins before those that are done go their ways.
        if following is not None:
            following.woken.set()
        for each in batch:
            each.woken.set()

    @property
    def waiting(self) -> int:
        """Queries that no batch has taken yet."""
        return len(self._queue)
