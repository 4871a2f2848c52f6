"""Queries of many requests at once, embedded together.

A forward pass over sixteen queries takes less time than sixteen passes, and keeps all cores at
work.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from encoders import Embeddings
from storage.together import Together

Vector = NDArray[np.float32]

MOST_AT_ONCE = 16
TURNS = 2
"""Batches at once, so that no core waits for the last of a batch."""


class QueryBatcher:
    """Safe to share between threads; that is what it is for."""

    def __init__(self, encode_texts: Callable[[Sequence[str]], Embeddings]) -> None:
        self._encode_texts = encode_texts
        self._together = Together(
            self._embed_all, lambda waiting: min(waiting, MOST_AT_ONCE), TURNS
        )

    def embed(self, text: str) -> Vector:
        """(dim,). Raises what the encoder raises for the batch that the text was in."""
        return self._together.ask(text)

    @property
    def waiting(self) -> int:
        """Queries that no batch has taken yet."""
        return self._together.waiting

    def _embed_all(self, texts: Sequence[str]) -> list[Vector]:
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        embeddings = self._encode_texts(list(places))
        return [embeddings[places[text]].copy() for text in texts]
