"""What a request asks for, as embeddings."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from encoders import Encoder
from search.config import SearchConfig
from search.errors import FieldError, ImageUnknown, InvalidRequest
from search.query.batching import QueryBatcher
from search.query.decoding import PictureDecoder
from search.query.fetch import bytes_of
from search.query.reading import ReadRequest
from search.schemas import ImageInput, Term
from storage.index.snapshot import Snapshot

Vector = NDArray[np.float32]

SAME_DIRECTION = 0.9999
"""Cosine of what is wanted with what is not from which nothing is left to look for."""


@dataclass(frozen=True)
class Unwanted:
    """Something that the pictures should not show."""

    vector: Vector
    text: str | None
    """None for a picture."""
    weight: float


@dataclass(frozen=True)
class EmbeddedQuery:
    """shape of `wanted`: (dim,), L2 norm 1."""

    wanted: Vector
    text: str | None
    """What it asks for in words; None when only pictures say it."""
    has_pictures: bool
    unwanted: tuple[Unwanted, ...]
    is_negative: bool
    """Nothing is wanted: `wanted` points away from `text`, which is what should not be there."""
    exclude: frozenset[int]
    """Images that are the query themselves."""
    warnings: tuple[str, ...]


class QueryEmbedder:
    """Embeds texts and pictures of requests. Safe to share between threads."""

    def __init__(self, encoder: Encoder, config: SearchConfig) -> None:
        self._encoder = encoder
        self._config = config
        self.decoder = PictureDecoder(encoder.preprocessor, config)
        self.batcher = QueryBatcher(encoder.encode_texts)
        self._text = lru_cache(maxsize=config.cached_queries)(self._text_now)

    def embed(self, asked: ReadRequest, snapshot: Snapshot) -> EmbeddedQuery:
        """Raises InvalidRequest, ImageUnknown, PictureRejected, DecodersUnavailable."""
        terms = [*asked.positive, *asked.negative]
        by_id = (term.image.id for term in terms if term.image is not None)
        unwanted = tuple(
            Unwanted(self._term(term, snapshot), term.text, term.weight) for term in asked.negative
        )
        if asked.positive:
            wanted, text = self._sum(asked.positive, snapshot), asked.text
        else:
            wanted = -self._sum(asked.negative, snapshot)
            text = " ".join(each.text for each in asked.negative if each.text is not None)
        for place, each in enumerate(unwanted if asked.positive else ()):
            if float(wanted @ each.vector) > SAME_DIRECTION and each.weight >= 1:
                raise InvalidRequest(
                    FieldError(f"negative.{place}", "takes away all that the query asks for")
                )
        return EmbeddedQuery(
            wanted=wanted,
            text=text,
            has_pictures=any(term.image is not None for term in asked.positive),
            unwanted=unwanted if asked.positive else (),
            is_negative=not asked.positive,
            exclude=frozenset(image_id for image_id in by_id if image_id is not None),
            warnings=tuple(
                warning
                for term in terms
                if term.text is not None
                for warning in self._encoder.text_warnings(term.text)
            ),
        )

    def image(self, image: ImageInput, snapshot: Snapshot) -> Vector:
        if image.id is not None:
            known = snapshot.embedding(image.id)
            if known is None:
                raise ImageUnknown(image.id)
            return known
        pixels = self.decoder.preprocess(bytes_of(image, self._config))
        embedding: Vector = self._encoder.encode_preprocessed([pixels])[0]
        return embedding

    def _sum(self, terms: tuple[Term, ...], snapshot: Snapshot) -> Vector:
        total = np.zeros(self._encoder.space.dim, dtype=np.float32)
        for term in terms:
            total += term.weight * self._term(term, snapshot)
        norm = float(np.linalg.norm(total))
        if norm < 1e-6:
            raise InvalidRequest(FieldError("", "what is asked for cancels itself out"))
        unit: Vector = total / norm
        return unit

    def _term(self, term: Term, snapshot: Snapshot) -> Vector:
        if term.text is not None:
            return self._text(term.text)
        assert term.image is not None
        return self.image(term.image, snapshot)

    def _text_now(self, text: str) -> Vector:
        embedding = self.batcher.embed(text)
        embedding.setflags(write=False)
        return embedding
