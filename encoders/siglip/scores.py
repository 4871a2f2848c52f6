"""Cosines → the probability that a text and a picture match."""

from collections.abc import Sequence
from math import log
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.probes import PROBE_TEXTS, probe_pictures
from encoders.protocol import Embeddings

BACKGROUND_PICTURES = 1000
"""Unrelated pictures that a match must outweigh where the checkpoint itself has no bias."""


class Embedder(Protocol):
    """The two methods that measuring the background takes."""

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings: ...

    def encode_texts(self, texts: Sequence[str]) -> Embeddings: ...


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + e^-x), without overflow."""
    probabilities: NDArray[np.float32] = 0.5 * (1 + np.tanh(0.5 * logits))
    return probabilities.astype(np.float32)


def background_cosines(encoder: Embedder) -> NDArray[np.float32]:
    """What pictures and texts that have nothing to do with each other score."""
    pictures = encoder.encode_images(probe_pictures())
    texts = encoder.encode_texts(list(PROBE_TEXTS))
    cosines: NDArray[np.float32] = pictures @ texts.T
    return cosines.ravel()


def softmax_bias(background: NDArray[np.float32], scale: float) -> float:
    """The bias that turns a softmax family's logits into probabilities, as SigLIP's own does.

    Such a checkpoint was trained to pick one picture of many. Against n unrelated ones, whose
    cosines have mean m and deviation s, the softmax picks the match with probability
    sigmoid(scale·cos - log Σ e^(scale·cos_i)), and for normal cosines
    log Σ ≈ log n + scale·m + (scale·s)²/2.
    """
    spread = scale * float(background.std())
    return -(log(BACKGROUND_PICTURES) + scale * float(background.mean()) + spread**2 / 2)
