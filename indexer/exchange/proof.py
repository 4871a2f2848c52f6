"""That embeddings from elsewhere are of the library's model, and where their pictures lie."""

import random
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from encoders import Encoder, Preprocessed
from indexer.config import IndexConfig
from indexer.decoding.messages import DecodeSetup
from indexer.decoding.pool import DecodePool
from indexer.exchange.finding import Finder, Found
from indexer.exchange.places import Places
from indexer.reading import PictureReader, ReadPicture
from storage.exchange.errors import ExchangeError
from storage.exchange.reading import Incoming
from storage.library import Library

SAMPLE = 32
LEAST_SAMPLE = 16
LEAST_COSINE = 0.99
"""The same checkpoint elsewhere differs by its libraries' resizing and rounding: some .999."""
NO_SPACE = 0
"""For a reader that is to decode whatever it meets."""


@dataclass
class Surveyed:
    """What one pass over the files has found."""

    places: Places
    rows: int = 0
    there: int = 0
    sample: list[tuple[Found, NDArray[np.float32]]] = field(default_factory=list)


def survey(incoming: Incoming, places: Places, finder: Finder, dim: int) -> Surveyed:
    """Check every row before anything is written. Raises ExchangeError."""
    surveyed = Surveyed(places)
    # The same pictures every time.
    draw = random.Random(0)  # noqa: S311
    for block in incoming.blocks(dim):
        for picture, embedding in zip(block.pictures, block.embeddings, strict=True):
            surveyed.rows += 1
            found = finder.find(places.absolute(picture))
            if found is None:
                continue
            surveyed.there += 1
            places.note(picture, found)
            if len(surveyed.sample) < 2 * SAMPLE:
                surveyed.sample.append((found, embedding.copy()))
            elif (at := draw.randrange(surveyed.there)) < 2 * SAMPLE:
                surveyed.sample[at] = (found, embedding.copy())
    if surveyed.rows and not surveyed.there:
        raise ExchangeError(
            f"None of the {surveyed.rows:,} pictures is where image_path says. Put them there (is "
            "the disk or the store connected?), or say with --root where relative paths begin."
        )
    return surveyed


def require_same_model(
    library: Library, encoder: Encoder, config: IndexConfig, surveyed: Surveyed
) -> float:
    """Embed a sample anew and compare. Returns the mean cosine. Raises ExchangeError."""
    limits, seconds = config.limits, config.decode_seconds
    setup = DecodeSetup(limits, encoder.preprocessor, library.thumbnails, seconds)
    pixels: list[Preprocessed] = []
    given: list[NDArray[np.float32]] = []
    with DecodePool(setup, 1) as workers:
        reader = PictureReader(library.engine, NO_SPACE, workers, seconds)
        for found, embedding in surveyed.sample:
            if len(given) == SAMPLE:
                break
            workers.expect(1)
            read = reader.read(found.folder, found.stat, None)
            if isinstance(read, ReadPicture) and read.pixels is not None:
                pixels.append(read.pixels)
                given.append(embedding)
    if len(given) < min(LEAST_SAMPLE, surveyed.there):
        raise ExchangeError(
            f"Of {len(surveyed.sample)} pictures tried, {len(given)} could be read: too few to see "
            "whether their embeddings are of this model."
        )
    made = encoder.encode_preprocessed(pixels)
    cosine = float(np.mean(np.sum(made * np.stack(given), axis=1)))
    if not cosine >= LEAST_COSINE:
        raise ExchangeError(
            f"The embeddings are not those of {encoder.space.checkpoint}: {len(given)} of the "
            f"pictures embedded anew have a mean cosine of {cosine:.3f} with what the files say; "
            f"at least {LEAST_COSINE} is needed. Import them with the model that made them, or "
            "index the pictures."
        )
    return cosine
