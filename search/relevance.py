"""Scores → relevance: how sure we are that a picture is what was asked for.

The measure is an E-value, as in sequence search: how many pictures of a library of this size
would score so high by chance. By chance means: with the background queries of the same script and
length, over a sample of the user's own pictures. Most such pairs are unrelated, and their cosines
fall off exponentially from the 90th percentile on. With p(score) the chance of one unrelated pair
to score so high,

    E = pictures · p(score)        relevance = 1 / (1 + E / HALF_AT)

Relevance rises and falls with the score, so that cutting the ranking at a relevance cuts it once.
A library of a few pictures says little about chance: there the encoder's own calibration counts.
docs/relevance.md has the error rates that were measured.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders import Embeddings, Encoder
from search.background import Background, Kind, kind_of
from storage.snapshot import Snapshot

NOTHING_BELOW = 0.5
"""When no hit reaches this relevance, nothing relevant was found."""
HALF_AT = 0.3
"""The E-value at which relevance is one half; set on the measurements of docs/relevance.md."""
SAMPLE_PICTURES = 1000
FEW_PICTURES, MANY_PICTURES = 50, 500
"""From the encoder's calibration alone to the library's own alone."""

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Chance:
    """How cosines of unrelated pairs fall off: a tenth lies above `start`, falling by `decay`."""

    start: float
    decay: float

    def probability(self, scores: Scores) -> NDArray[np.float64]:
        beyond = (scores.astype(np.float64) - self.start) / self.decay
        return 0.1 * np.exp(np.clip(-beyond, -700.0, np.log(10.0)))


class RelevanceModel:
    """Relevance of one encoder's scores in one library. Safe to share between threads."""

    def __init__(self, encoder: Encoder, background: Background | None) -> None:
        """background: None leaves it to the encoder's own calibration."""
        self._encoder = encoder
        self._background = background
        self._lock = threading.Lock()
        self._chances: dict[Kind, Chance] = {}
        self._measured_at = 0

    def of_text_query(self, text: str, scores: Scores, snapshot: Snapshot) -> Scores:
        """(n,) cosines of a text with pictures → (n,) in 0–1."""
        own = self._encoder.match_probability(scores)
        count = len(snapshot.image_ids)
        if self._background is None or count <= FEW_PICTURES:
            return own
        expected = count * self._chance(text, self._background, snapshot).probability(scores)
        here = 1.0 / (1.0 + expected / HALF_AT)
        share = min(1.0, (count - FEW_PICTURES) / (MANY_PICTURES - FEW_PICTURES))
        return ((1 - share) * own + share * here).astype(np.float32)

    def _chance(self, text: str, background: Background, snapshot: Snapshot) -> Chance:
        count = len(snapshot.image_ids)
        with self._lock:
            if not 0.9 < count / max(self._measured_at, 1) < 1.1:
                self._chances.clear()
                self._measured_at = count
            kind = kind_of(text)
            if kind not in self._chances:
                sample = snapshot.sample(SAMPLE_PICTURES)
                self._chances[kind] = measure_chance(background.like(text), sample)
            return self._chances[kind]


def measure_chance(background: Embeddings, pictures: Embeddings) -> Chance:
    """From (m, dim) background queries and (n, dim) of the user's pictures.

    The tail is taken between two quantiles and drawn on: the few pairs beyond them that happen to
    be related after all change nothing.
    """
    start, further = np.quantile(background @ pictures.T, [0.9, 0.99])
    return Chance(float(start), max(float(further - start) / float(np.log(10.0)), 1e-4))


def relevance_of_image_query(scores: Scores) -> Scores:
    """(n,) cosines of pictures with a picture → (n,) in 0–1.

    Two pictures of one thing are near in every one of these spaces; a cosine is stretched over
    0–1 as it stands.
    """
    return np.clip(scores, 0.0, 1.0)


def says_nothing_relevant(relevances: Sequence[float]) -> bool:
    return all(relevance < NOTHING_BELOW for relevance in relevances)
