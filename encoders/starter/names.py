"""All names of all concepts as points, and how near a query is to each concept's names.

The points come precomputed, in 24 bytes each: multilingual-e5-small, whitened by the spread of
the names of one concept (so that what only tells languages apart counts little), cut to 192
dimensions, product-quantised (Jégou et al., 2011). `build_concepts` makes the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.starter.lexicon import Lexicon, concept_keys

CONCEPTS_FILE = Path(__file__).with_name("concepts.npz")

CENTROID_WEIGHT = 0.4
"""What the mean of a concept's names counts beside the nearest of them."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Whitening:
    """Points of the sentence model → points whose cosines tell concepts apart."""

    centre: Floats
    projection: Floats

    def __call__(self, sentences: Floats) -> Floats:
        """(n, 384) → (n, 192), every row of norm 1."""
        return unit(np.asarray((sentences - self.centre) @ self.projection, dtype=np.float32))


@dataclass(frozen=True)
class Owners:
    """Which concepts bear which names.

    names: every name once, folded and sorted. `name` and `concept` are parallel and sorted by
    concept; `starts` is where each concept's run begins.
    """

    names: list[str]
    name: NDArray[np.int64]
    concept: NDArray[np.int64]
    starts: NDArray[np.int64]

    def rows(self) -> dict[str, int]:
        """Name → where it stands."""
        return {name: row for row, name in enumerate(self.names)}


class Names:
    """The names' points in memory."""

    def __init__(self, whitening: Whitening, points: Floats, owners: Owners) -> None:
        """points: (names, 192), in the order of `owners.names`."""
        self._whitening = whitening
        self._points = points
        self._owners = owners
        sums = np.add.reduceat(points[owners.name], owners.starts, axis=0)
        self._centroids = unit(sums)

    def points(self, rows: Sequence[int]) -> Floats:
        """(n, 192) of the names at these rows."""
        return self._points[list(rows)]

    def place(self, sentences: Floats) -> Floats:
        """(n, 384) of the sentence model → (n, 192), where the names are."""
        return self._whitening(sentences)

    def concept_scores(
        self, queries: Floats, known: Sequence[Sequence[int]]
    ) -> tuple[Floats, Floats]:
        """How near queries are to each concept.

        queries: (n, 192). known: for each query the rows of the names that it is, if any.
        → (n, concepts), higher is nearer; and (n,) cosines with the nearest of all names.
        """
        near = queries @ self._points.T
        for query, rows in enumerate(known):
            near[query, rows] = 1.0
        nearest = np.maximum.reduceat(near[:, self._owners.name], self._owners.starts, axis=1)
        scores = nearest + CENTROID_WEIGHT * (queries @ self._centroids.T)
        return np.asarray(scores), np.asarray(nearest.max(axis=1))


def stored_points() -> tuple[Whitening, Floats]:
    """What is in concepts.npz: (names, 192), in the order of the lexicon's sorted names."""
    with np.load(CONCEPTS_FILE, allow_pickle=False) as file:
        centre, projection = file["centre"], file["projection"].astype(np.float32)
        points = decode(file["codes"], file["codebooks"].astype(np.float32))
    return Whitening(centre, projection), points


def owners_in(lexicon: Lexicon) -> Owners:
    """Every name of the lexicon with its concepts."""
    concept_of = {key: number for number, key in enumerate(concept_keys())}
    pairs = {
        (concept_of[key], name)
        for concepts in lexicon.values()
        for key, names in concepts.items()
        for name in names
    }
    every_name = sorted({name for _, name in pairs})
    row = {name: number for number, name in enumerate(every_name)}
    ordered = np.array(sorted((concept, row[name]) for concept, name in pairs))
    concepts = ordered[:, 0]
    starts = np.searchsorted(concepts, np.arange(len(concept_of)))
    return Owners(every_name, ordered[:, 1], concepts, starts)


def decode(codes: NDArray[np.uint8], codebooks: Floats) -> Floats:
    """(n, parts) codes and (parts, 256, width) codebooks → (n, parts · width), norm 1."""
    parts, _, width = codebooks.shape
    points = np.empty((len(codes), parts * width), np.float32)
    for part, (start, stop) in enumerate(pairwise(range(0, parts * width + 1, width))):
        points[:, start:stop] = codebooks[part][codes[:, part]]
    return unit(points)


def unit(rows: Floats) -> Floats:
    """Every row scaled to norm 1."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-12), dtype=np.float32)
