"""Scores → relevance: how sure we are that a picture is what was asked for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from encoders import Encoder

NOTHING_BELOW = 0.5
"""When no hit reaches this relevance, nothing relevant was found."""


def relevance_of_text_query(encoder: Encoder, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) cosines of a text with pictures → (n,) in 0–1, by the encoder's own calibration."""
    return encoder.match_probability(scores)


def relevance_of_image_query(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) cosines of pictures with a picture → (n,) in 0–1.

    Two pictures of one thing are near in every one of these spaces; a cosine is stretched over
    0–1 as it stands.
    """
    return np.clip(scores, 0.0, 1.0)


def says_nothing_relevant(relevances: Sequence[float]) -> bool:
    return all(relevance < NOTHING_BELOW for relevance in relevances)
