"""The starter encoder: ImageNet's classes as concepts in the space of a sentence model."""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.protocol import Embeddings, EmbeddingSpace, Preprocessed, Preprocessor
from encoders.starter.concepts import membership, picture_embeddings
from encoders.starter.lexicon import lexicon_digest
from encoders.starter.names import CONCEPTS_FILE
from encoders.starter.network import CentreCrop, Network, weights_file
from encoders.starter.queries import QueryReader
from encoders.starter.sentences import LONGEST_TEXT, is_too_long, model_file

PREPROCESSING_VERSION = 2
"""Raise it when the same files give other embeddings than before."""

MATCH_SLOPE = 20.0
MATCH_MIDDLE = 0.2
"""A logistic fitted to 479 labelled photographs, its middle then moved from .25 down to where the
sample pictures are found too; unrelated pairs stay below .1 (docs/relevance.md)."""

NOTICE = (
    "This is the starter encoder, a stand-in that comes with Polyglance. It knows about 1,000 "
    "kinds of things as photographs show them, and little of colours, places, actions, people or "
    "drawings. For SigLIP 2, which knows far more, connect to the internet and run: "
    "polyglance index --model google/siglip2-base-patch16-224 --data-dir NEW FOLDER"
)


class StarterEncoder:
    """EfficientNet-Lite2 names what it sees; multilingual-e5-small understands what is asked for.

    See docs/starter.md and the Encoder protocol.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._preprocessor = CentreCrop()
        self._network: Network | None = None
        self._queries = QueryReader.load()
        self._members = membership()
        self._space = EmbeddingSpace(
            checkpoint="starter",
            revision=None,
            dim=sum(self._members.shape),
            preprocessing_version=PREPROCESSING_VERSION,
            content_digest=self._content_digest(),
        )

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    @property
    def notice(self) -> str | None:
        return NOTICE

    @property
    def ignores_case(self) -> bool:
        return True

    @property
    def preprocessor(self) -> Preprocessor:
        return self._preprocessor

    @property
    def min_decode_side(self) -> int:
        return self._preprocessor.min_decode_side

    def preprocess(self, image: Image.Image) -> Preprocessed:
        """→ uint8 (288, 288, 3)."""
        return self._preprocessor.preprocess(image)

    def encode_preprocessed(self, batch: Sequence[Preprocessed]) -> Embeddings:
        with self._lock:
            # Who only searches by text need not wait for torch.
            network = self._network = self._network or Network()
        return picture_embeddings(network.probabilities(batch), self._members)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        return self.encode_preprocessed([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return self._queries.embeddings(texts)

    def text_warnings(self, text: str) -> list[str]:
        if not is_too_long(text):
            return []
        return [f"The query is long: the starter encoder reads its first {LONGEST_TEXT} characters"]

    def match_probability(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        odds = np.exp(-MATCH_SLOPE * (cosines.astype(np.float32) - MATCH_MIDDLE))
        return np.asarray(1.0 / (1.0 + odds), dtype=np.float32)

    def _content_digest(self) -> str:
        digest = hashlib.sha256()
        for path in (weights_file(), model_file(), CONCEPTS_FILE):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(lexicon_digest().encode())
        return digest.hexdigest()
