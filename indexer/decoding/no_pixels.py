"""For pictures whose embeddings are there already: decoded for their facts and thumbnail alone."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from encoders import Preprocessed


@dataclass(frozen=True)
class NoPixels:
    """The preprocessor that makes nothing."""

    min_decode_side: int

    def preprocess(self, image: Image.Image) -> Preprocessed:
        return np.empty(0, dtype=np.uint8)
