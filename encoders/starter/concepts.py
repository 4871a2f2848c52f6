"""The space: one dimension a concept, first the 1,000 classes, then the broader concepts.

ConSE (Norouzi et al., 2014) mixes the classes' points in the sentence model's space. Here they
keep a dimension each, and the sentence model decides which concepts a query means: 1,141
dimensions in place of 384 lose nothing of what the network saw, and find more (docs/starter.md).
"""

import numpy as np
from numpy.typing import NDArray

from encoders.protocol import Embeddings
from encoders.starter.lexicon import CLASSES, read_broader
from encoders.starter.names import unit

FLOOR = 0.9 / CLASSES
"""What the network says of any class for want of certainty is not seen. Under 1 / CLASSES, so
that something is left of every picture."""

BROADER_WEIGHT = 1.0
"""What the broader concepts of a picture count beside its classes: as much, so that a cosine says
the same of "dog" as of "beagle"."""

BESIDE_WEIGHT = 0.2
"""What a class beside a broader concept counts, where one of its classes counts 1."""

SHARPNESS = 10.0
"""How much more the nearest concepts of a query count than those farther off."""

CONCEPTS_PER_QUERY = 10


def membership() -> NDArray[np.float32]:
    """(1000, broader): how far the class falls under the broader concept, 0 to 1."""
    broader = read_broader()
    members = np.zeros((CLASSES, len(broader)), np.float32)
    for column, covered in enumerate(broader.values()):
        members[covered.classes, column] = 1.0
        members[covered.beside, column] = BESIDE_WEIGHT
    return members


def picture_embeddings(
    probabilities: NDArray[np.float32], members: NDArray[np.float32]
) -> Embeddings:
    """(n, 1000) probabilities → (n, concepts).

    Square roots, so that a class seen beside a stronger one still counts.
    """
    seen = np.maximum(probabilities - FLOOR, 0.0)
    classes = unit(np.sqrt(seen))
    broader = np.sqrt(seen @ members)
    return unit(np.concatenate([classes, BROADER_WEIGHT * broader], axis=1))


def query_embeddings(scores: NDArray[np.float32]) -> Embeddings:
    """(n, concepts) scores of the names → the few concepts that are meant, the nearest most."""
    weights = np.exp(SHARPNESS * (scores - scores.max(axis=1, keepdims=True)))
    ranked = np.sort(weights, axis=1)
    return unit(np.where(weights >= ranked[:, -CONCEPTS_PER_QUERY, None], weights, 0.0))
