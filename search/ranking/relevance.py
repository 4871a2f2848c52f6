"""Scores → relevance: how sure we are that a picture is what was asked for.

Two judges, by their log-odds. The *encoder* says how sure it is that a text and a picture match
(SigLIP's own sigmoid, the starter's fit). The *background* says where the score stands among what
arbitrary queries of the same script and length reach in this very library with their best
picture: at even odds where three in four of them stay below it. (Some of them are about what the
library shows; a quarter is allowed for that.) Their mean is the relevance. The first knows the
model, the second the language, the length of the query and the library.

Relevance rises and falls with the score, so that cutting the ranking at a relevance cuts it once.
A library of a few pictures says little: there the encoder's judgement counts alone.
docs/relevance.md has the error rates that were measured.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders import Embeddings, Encoder
from search.ranking.background import Background, Kind, kind_of
from storage.index.snapshot import Snapshot

NOTHING_BELOW = 0.5
"""When no hit reaches this relevance, nothing relevant was found."""
STAY_BELOW = 0.75
"""Share of the background queries whose best score speaks against relevance."""
SAMPLE_PICTURES = 1000
FEW_PICTURES, MANY_PICTURES = 50, 500
"""From the encoder's judgement alone to that of both."""
LEAST_WIDTH = 0.005
MOST_LOG_ODDS = 14.0

BackgroundSource = Callable[[], Background]
Scores = NDArray[np.float32]
LogOdds = NDArray[np.float64]


@dataclass(frozen=True)
class Bar:
    """What background queries of one kind reach in a library: log-odds are (score - even) / width.

    growth: by how much `even` rises when a library grows e-fold.
    """

    even: float
    width: float
    growth: float
    pictures: int

    def even_among(self, count: int) -> float:
        """Where the odds are even in a library of that many pictures."""
        return self.even + self.growth * float(np.log(max(count / self.pictures, 1.0)))


@dataclass(frozen=True)
class Judge:
    """What one text's scores are judged by. It outlives the library's growth, so that pages of
    one search are judged alike."""

    share: float
    """Of the background's judgement; the rest is the encoder's."""
    even: float
    width: float


ENCODER_ALONE = Judge(0.0, 0.0, 1.0)


class RelevanceModel:
    """Relevance of one encoder's scores in one library. Safe to share between threads."""

    def __init__(self, encoder: Encoder, background: BackgroundSource | None) -> None:
        """background: asked for once, by the first library that is large enough; None leaves all
        to the encoder's own calibration."""
        self._encoder = encoder
        self._background_source = background
        self._background: Background | None = None
        self._lock = threading.Lock()
        self._bars: dict[Kind, Bar] = {}
        self._measured_at = 0

    def of_text_query(self, text: str, scores: Scores, snapshot: Snapshot) -> Scores:
        """(n,) cosines of a text with pictures → (n,) in 0–1."""
        return self.by(self.judge(text, snapshot), scores)

    def judge(self, text: str, snapshot: Snapshot) -> Judge:
        """By what a text's cosines are judged in a library as it is now."""
        count = len(snapshot.image_ids)
        if self._background_source is None or count <= FEW_PICTURES:
            return ENCODER_ALONE
        bar = self._bar(text, self._background_source, snapshot)
        share = 0.5 * min(1.0, (count - FEW_PICTURES) / (MANY_PICTURES - FEW_PICTURES))
        return Judge(share, bar.even_among(count), bar.width)

    def by(self, judge: Judge, scores: Scores) -> Scores:
        match = self._encoder.match_probability(scores)
        if judge.share == 0:
            return match
        kept = np.clip(match.astype(np.float64), 1e-9, 1 - 1e-9)
        own = _limited(np.log(kept / (1 - kept)))
        here = _limited((scores.astype(np.float64) - judge.even) / judge.width)
        odds = (1 - judge.share) * own + judge.share * here
        return (1 / (1 + np.exp(-odds))).astype(np.float32)

    def _bar(self, text: str, source: BackgroundSource, snapshot: Snapshot) -> Bar:
        count = len(snapshot.image_ids)
        with self._lock:
            self._background = self._background or source()
            if not 0.9 < count / max(self._measured_at, 1) < 1.1:
                self._bars.clear()
                self._measured_at = count
            kind = kind_of(text)
            if kind not in self._bars:
                sample = snapshot.sample(SAMPLE_PICTURES)
                self._bars[kind] = measure_bar(self._background.like(text), sample)
            return self._bars[kind]


def measure_bar(background: Embeddings, pictures: Embeddings) -> Bar:
    """From (m, dim) background queries and (n, dim) of the user's pictures."""
    scores = (background @ pictures.T).astype(np.float64)
    middle, even = np.quantile(scores.max(axis=1), [0.5, STAY_BELOW])
    # Unrelated cosines fall off about exponentially; the largest of n grows with log n.
    start, further = np.quantile(scores, [0.9, 0.99])
    return Bar(
        even=float(even),
        width=max(float(even - middle) / 2, LEAST_WIDTH),
        growth=float(further - start) / float(np.log(10.0)),
        pictures=len(pictures),
    )


def _limited(log_odds: LogOdds) -> LogOdds:
    """Neither judge may be surer than the other can answer."""
    return np.clip(log_odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)


def relevance_of_image_query(scores: Scores) -> Scores:
    """(n,) cosines of pictures with a picture → (n,) in 0–1.

    Two pictures of one thing are near in every one of these spaces; a cosine is stretched over
    0–1 as it stands.
    """
    return np.clip(scores, 0.0, 1.0)


def says_nothing_relevant(relevances: Sequence[float]) -> bool:
    return all(relevance < NOTHING_BELOW for relevance in relevances)
