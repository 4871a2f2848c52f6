"""Simulated photographs: what EfficientNet-Lite2 might say of 1,000 pictures, one a class.

There is no ImageNet here. A photograph of a class is simulated as the direction in which the
network looks for that class, at a random strength, plus noise that is spread as the classes'
directions are, so that what looks alike to the network is what it confuses. The noise is as
strong as it takes for a chosen share of the pictures to be named rightly (top-1).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.starter.network import weights_file

CLEARNESS = 9.5
"""Logit of the true class over the mean of all in a picture without noise: the largest
probability is then .61 on average."""

Floats = NDArray[np.float32]


def simulated_photographs(top_1: float, per_class: int, seed: int) -> tuple[Floats, list[int]]:
    """→ (1000 · per_class, 1000) probabilities, and each picture's class."""
    rng = np.random.default_rng(seed)
    directions = _class_directions()
    classes = np.repeat(np.arange(len(directions)), per_class)
    strength = CLEARNESS * rng.lognormal(0, 0.35, (len(classes), 1))
    clean = directions[classes] / np.square(directions[classes]).sum(axis=1, keepdims=True)
    signal = (strength * clean) @ directions.T
    noise = rng.standard_normal((len(classes), directions.shape[1])) @ directions.T
    noise *= rng.lognormal(0, 0.3, (len(classes), 1))
    logits = signal + _noise_level(signal, noise, classes, top_1) * noise
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), classes.tolist()


def _noise_level(signal: Any, noise: Any, classes: Any, top_1: float) -> float:
    """By bisection: the more noise, the fewer pictures are named rightly."""
    low, high = 0.0, 10.0
    for _ in range(30):
        middle = (low + high) / 2
        right = ((signal + middle * noise).argmax(axis=1) == classes).mean()
        low, high = (middle, high) if right > top_1 else (low, middle)
    return low


def _class_directions() -> Floats:
    """(1000, 1280): the last layer's weights, less what all classes share."""
    import torch

    weights = torch.load(weights_file(), map_location="cpu", weights_only=True)
    directions = weights["_fc.weight"].numpy()
    return np.asarray(directions - directions.mean(axis=0), dtype=np.float32)
