"""That embeddings from elsewhere are of the library's model, and where their pictures lie."""

import random
import stat as stat_modes
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from encoders import Encoder, Preprocessed
from indexer.config import IndexConfig
from indexer.decoding.messages import DecodeSetup
from indexer.decoding.pool import DecodePool
from indexer.exchange.places import Places
from indexer.reading import PictureReader, ReadPicture
from storage.exchange.errors import ExchangeError
from storage.exchange.reading import Incoming
from storage.files import list_roots
from storage.library import Library
from storage.records import FileStat

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
    sample: list[tuple[Path, NDArray[np.float32]]] = field(default_factory=list)


def survey(incoming: Incoming, engine: Engine, base: Path | None, dim: int) -> Surveyed:
    """Check every row before anything is written. Raises ExchangeError."""
    found = Surveyed(Places(base, list_roots(engine)))
    # The same pictures every time.
    draw = random.Random(0)  # noqa: S311
    for block in incoming.blocks(dim):
        for picture, embedding in zip(block.pictures, block.embeddings, strict=True):
            found.rows += 1
            path = found.places.absolute(picture)
            if file_stat(path) is None:
                continue
            found.there += 1
            found.places.note(picture, path)
            if len(found.sample) < 2 * SAMPLE:
                found.sample.append((path, embedding.copy()))
            elif (at := draw.randrange(found.there)) < 2 * SAMPLE:
                found.sample[at] = (path, embedding.copy())
    if found.rows and not found.there:
        raise ExchangeError(
            f"None of the {found.rows:,} pictures is where image_path says. Put them there (is the "
            "disk connected?), or say with --root where relative paths begin."
        )
    return found


def require_same_model(
    library: Library, encoder: Encoder, config: IndexConfig, found: Surveyed
) -> float:
    """Embed a sample anew and compare. Returns the mean cosine. Raises ExchangeError."""
    limits, seconds = config.limits, config.decode_seconds
    setup = DecodeSetup(limits, encoder.preprocessor, library.thumbnails, seconds)
    pixels: list[Preprocessed] = []
    given: list[NDArray[np.float32]] = []
    with DecodePool(setup, 1) as workers:
        reader = PictureReader(library.engine, NO_SPACE, workers, seconds)
        for path, embedding in found.sample:
            stat = file_stat(path)
            if stat is None or len(given) == SAMPLE:
                continue
            workers.expect(1)
            read = reader.read(path.parent, stat, None)
            if isinstance(read, ReadPicture) and read.pixels is not None:
                pixels.append(read.pixels)
                given.append(embedding)
    if len(given) < min(LEAST_SAMPLE, found.there):
        raise ExchangeError(
            f"Of {len(found.sample)} pictures tried, {len(given)} could be read: too few to see "
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


def file_stat(path: Path, root_id: int = 0, name: str | None = None) -> FileStat | None:
    """Of an ordinary file that is there; None otherwise. name: its path below its root."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat_modes.S_ISREG(found.st_mode):
        return None
    return FileStat(root_id, name or path.name, found.st_size, found.st_mtime_ns)
