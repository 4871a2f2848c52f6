"""Zero-shot classification: which of these labels, in any language, is the picture of?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders import Embeddings, Encoder
from encoders.load import STARTER
from search.ranking.background import kind_of

TEMPLATES = {
    "LATIN": ("{}", "a photo of a {}.", "a photo of the {}."),
    "VIETNAMESE": ("{}", "ảnh chụp {}.", "một bức ảnh về {}."),
    "CJK": ("{}", "一张{}的照片。"),
    "HIRAGANA": ("{}", "{}の写真。"),
    "HANGUL": ("{}", "{} 사진."),
    "CYRILLIC": ("{}", "фото: {}."),
    "ARABIC": ("{}", "صورة {}."),
    "DEVANAGARI": ("{}", "{} की तस्वीर।"),
    "BENGALI": ("{}", "{} এর ছবি।"),
    "THAI": ("{}", "ภาพถ่าย{}"),
}
"""By script; a label's embedding is the mean over its templates'. The label alone is one of them,
which serves the languages that share a script with another's templates. The starter does without:
it knows names as they stand, and a sentence about one tells it nothing more."""

LEAST, MOST = 1e-30, 1 - 1e-7
"""Probabilities are kept off 0 and 1, where they have no odds."""


@dataclass(frozen=True)
class LabelScore:
    label: str
    probability: float
    """Among the labels given; they add up to 1."""
    score: float
    """Cosine of the picture with the label's mean embedding."""


def classify(encoder: Encoder, image: Image.Image, labels: Sequence[str]) -> list[LabelScore]:
    """An upright RGB picture and at least one label → all labels, best first."""
    return classify_embedding(encoder, encoder.encode_images([image])[0], labels)


def classify_embedding(
    encoder: Encoder, picture: NDArray[np.float32], labels: Sequence[str]
) -> list[LabelScore]:
    """The same for a picture's embedding, (dim,).

    The encoder's own odds of a match, divided among the labels: for SigLIP, whose odds are
    exp(scale · cosine + bias), that is the softmax at the checkpoint's own temperature.
    """
    scores = label_embeddings(encoder, labels) @ picture
    match = np.clip(encoder.match_probability(scores).astype(np.float64), LEAST, MOST)
    odds = match / (1 - match)
    shares = odds / odds.sum()
    order = np.lexsort((np.arange(len(labels)), -scores))
    return [LabelScore(labels[at], float(shares[at]), float(scores[at])) for at in order]


def label_embeddings(encoder: Encoder, labels: Sequence[str]) -> Embeddings:
    """(n, dim) of L2 norm 1."""
    if encoder.space.checkpoint == STARTER:
        return encoder.encode_texts(labels)
    prompts = [
        [template.format(label) for template in TEMPLATES.get(kind_of(label).script, ("{}",))]
        for label in labels
    ]
    embedded = encoder.encode_texts([prompt for group in prompts for prompt in group])
    edges = np.cumsum([0, *(len(group) for group in prompts)])
    means = np.add.reduceat(embedded, edges[:-1], axis=0)
    unit: Embeddings = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit
