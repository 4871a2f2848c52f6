"""An encoder that sees colours only: the second implementation of the seam, for tests.

Its embedding is how much of a picture is red, yellow, green, blue, grey and so on; a query is the
colours that it names, in a handful of languages. What it finds can be told by eye.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders import Embeddings, EmbeddingSpace, Preprocessed, Preprocessor

COLORS = {
    "red": (214, 40, 40),
    "orange": (240, 140, 30),
    "yellow": (245, 220, 60),
    "green": (50, 160, 70),
    "blue": (40, 90, 200),
    "violet": (130, 60, 170),
    "grey": (128, 128, 128),
    "white": (245, 245, 245),
}
NAMES = {
    "red": ("red", "đỏ", "红", "赤い", "أحمر", "लाल", "rojo", "แดง"),
    "orange": ("orange", "cam", "橙", "برتقالي", "naranja"),
    "yellow": ("yellow", "vàng", "黄", "أصفر", "amarillo"),
    "green": ("green", "xanh lá", "绿", "緑", "أخضر", "verde"),
    "blue": ("blue", "xanh dương", "蓝", "青い", "أزرق", "azul"),
    "violet": ("violet", "tím", "紫", "بنفسجي"),
    "grey": ("grey", "xám", "灰", "رمادي"),
    "white": ("white", "trắng", "白", "أبيض"),
}
PALETTE = np.array(list(COLORS.values()), dtype=np.float32)
DIM = 2 * len(COLORS)
"""The second half is for what a text says beyond colours: no picture has any of it."""


class ColorPreprocessor:
    min_decode_side = 64

    def preprocess(self, image: Image.Image) -> Preprocessed:
        """→ float32 (1024, 3)."""
        small = image.resize((32, 32), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32).reshape(-1, 3)


class ColorEncoder:
    """version: another one is another embedding space, whatever the checkpoint is called."""

    def __init__(self, checkpoint: str = "colors", version: int = 1) -> None:
        self._space = EmbeddingSpace(checkpoint, None, DIM, version, "0" * 64)

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    @property
    def notice(self) -> str | None:
        return None

    @property
    def ignores_case(self) -> bool:
        return True

    @property
    def preprocessor(self) -> Preprocessor:
        return ColorPreprocessor()

    @property
    def min_decode_side(self) -> int:
        return self.preprocessor.min_decode_side

    def preprocess(self, image: Image.Image) -> Preprocessed:
        return self.preprocessor.preprocess(image)

    def encode_preprocessed(self, batch: Sequence[Preprocessed]) -> Embeddings:
        embeddings = np.zeros((len(batch), DIM), dtype=np.float32)
        for row, pixels in enumerate(batch):
            distances = np.linalg.norm(pixels[:, None] - PALETTE[None], axis=2)
            shares = np.bincount(distances.argmin(axis=1), minlength=len(COLORS))
            embeddings[row, : len(COLORS)] = shares
        return _normalised(embeddings)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        return self.encode_preprocessed([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        embeddings = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            for column, names in enumerate(NAMES.values()):
                embeddings[row, column] = any(name in text.lower() for name in names)
            if not embeddings[row].any():
                embeddings[row, len(COLORS) + len(text) % len(COLORS)] = 1
        return _normalised(embeddings)

    def text_warnings(self, text: str) -> list[str]:
        words = len(text.split())
        return [f"{words} words: only the colours among them count."] if words > 20 else []

    def match_probability(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        return (1 / (1 + np.exp(-12 * (cosines - 0.5)))).astype(np.float32)


def _normalised(embeddings: Embeddings) -> Embeddings:
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit: Embeddings = embeddings / np.maximum(norms, 1e-12)
    return unit
