"""An encoder that costs next to nothing, for seeing what everything around it costs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders import Embeddings, EmbeddingSpace, Preprocessed


class CheapPreprocessor:
    min_decode_side = 16

    def preprocess(self, image: Image.Image) -> Preprocessed:
        """→ uint8 (8, 8, 3)."""
        return np.asarray(image.resize((8, 8), Image.Resampling.BOX))


class CheapEncoder:
    """A picture's embedding is its pixels at 8 × 8: an index is never done sooner."""

    preprocessor = CheapPreprocessor()
    min_decode_side = CheapPreprocessor.min_decode_side
    space = EmbeddingSpace("cheap", None, 192, 1, "c" * 64)
    notice = None
    ignores_case = True

    def preprocess(self, image: Image.Image) -> Preprocessed:
        return self.preprocessor.preprocess(image)

    def encode_preprocessed(self, batch: Sequence[Preprocessed]) -> Embeddings:
        rows = np.stack(list(batch)).reshape(len(batch), -1).astype(np.float32) - 127.5
        unit: Embeddings = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        return self.encode_preprocessed([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return np.full((len(texts), 192), 192**-0.5, dtype=np.float32)

    def text_warnings(self, text: str) -> list[str]:
        return []

    def match_probability(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        return (cosines + 1) / 2
