"""Embeddings for other programs: texts and pictures in the library's own space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders import Embeddings, Preprocessed
from search.engine import SearchEngine, Vector
from search.errors import FieldError, ImageUnknown, InvalidRequest, PictureRejected
from search.query.fetch import bytes_of, check_few_urls
from search.schemas import EmbeddingsRequest, ImageInput


@dataclass(frozen=True)
class Embedded:
    """Rows in the order asked; shapes (n, dim), n may be 0."""

    texts: Embeddings
    images: Embeddings


def embed(engine: SearchEngine, asked: EmbeddingsRequest) -> Embedded:
    """Raises InvalidRequest, ImageUnknown, PictureRejected, which name the item to blame, and
    DecodersUnavailable."""
    most = engine.config.max_query_characters
    too_long = [
        FieldError(f"texts.{place}", f"{len(text)} characters are more than {most}")
        for place, text in enumerate(asked.texts)
        if len(text) > most
    ]
    if too_long:
        raise InvalidRequest(*too_long)
    check_few_urls(asked.images)
    images = _embed_images(engine, asked.images)
    texts = engine.encoder.encode_texts(asked.texts) if asked.texts else _no_rows(engine)
    return Embedded(texts, images)


def _embed_images(engine: SearchEngine, images: Sequence[ImageInput]) -> Embeddings:
    snapshot = engine.snapshot()
    rows: dict[int, Vector] = {}
    preprocessed = {}
    for place, image in enumerate(images):
        if image.id is None:
            # One after the other, so that no two of them stand in memory at full size.
            preprocessed[place] = _preprocess(engine, image, place)
            continue
        known = snapshot.embedding(image.id)
        if known is None:
            raise ImageUnknown(image.id, field=f"images.{place}.id")
        rows[place] = known
    if preprocessed:
        embedded = engine.encoder.encode_preprocessed(list(preprocessed.values()))
        rows.update(zip(preprocessed, embedded, strict=True))
    if not rows:
        return _no_rows(engine)
    return np.stack([rows[place] for place in range(len(images))])


def _preprocess(engine: SearchEngine, image: ImageInput, place: int) -> Preprocessed:
    try:
        return engine.decoder.preprocess(bytes_of(image, engine.config))
    except PictureRejected as error:
        raise PictureRejected(error.kind, str(error), field=f"images.{place}.base64") from error


def _no_rows(engine: SearchEngine) -> Embeddings:
    return np.empty((0, engine.space.dim), dtype=np.float32)
