"""The seam between the models and everything else."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Embeddings = NDArray[np.float32]
"""float32 of shape (n, dim), every row of L2 norm 1."""

Preprocessed = NDArray[Any]
"""What one picture becomes before the forward pass; the shape is the encoder's own affair."""


@dataclass(frozen=True)
class EmbeddingSpace:
    """One encoder's embedding space. Embeddings of two spaces never meet.

    `content_digest` is a hash over weights, tokenizer and configuration, so that the same
    checkpoint is the same space whether it came from the hub or from a folder.
    """

    checkpoint: str
    revision: str | None
    dim: int
    preprocessing_version: int
    content_digest: str

    @property
    def fingerprint(self) -> str:
        """64 hex digits; covers all but the checkpoint's name and revision."""
        facts = asdict(self)
        del facts["checkpoint"], facts["revision"]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Preprocessor(Protocol):
    """What turns a picture into an encoder's input, without the encoder's weights.

    Decode workers are processes of their own: it is pickled to get there, and importing its
    module must not load torch.
    """

    @property
    def min_decode_side(self) -> int:
        """Pixels: a picture shrunk while it is decoded must keep both sides at least this long.

        Twice the encoder's input size, so that the exact resize that follows decides.
        """

    def preprocess(self, image: Image.Image) -> Preprocessed:
        """One upright RGB picture → the model's input; uint8 where the encoder takes that."""


class Encoder(Protocol):
    """Pictures and texts → embeddings in one space.

    Resizing, normalising, tokenising, padding and L2 happen behind these methods and nowhere
    else. All may be called from many threads at once; what can't run side by side takes turns
    inside. An embedding depends neither on that nor on what else is in its batch.
    """

    @property
    def space(self) -> EmbeddingSpace: ...

    @property
    def notice(self) -> str | None:
        """What users must know of this encoder, such as that it is a stand-in; None if nothing."""

    @property
    def ignores_case(self) -> bool:
        """Whether upper and lower case are the same query; the self-test checks that they are."""

    @property
    def preprocessor(self) -> Preprocessor:
        """The part of the encoder that decode workers run."""

    @property
    def min_decode_side(self) -> int:
        """The preprocessor's."""

    def preprocess(self, image: Image.Image) -> Preprocessed:
        """What the preprocessor makes of one upright RGB picture."""

    def encode_preprocessed(self, batch: Sequence[Preprocessed]) -> Embeddings: ...

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Upright RGB pictures → (n, dim)."""

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Queries in any language → (n, dim)."""

    def text_warnings(self, text: str) -> list[str]:
        """What the user should know of this query, such as that it was cut to 64 tokens."""

    def match_probability(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosines of a text with pictures → the encoder's own 0–1 estimate that they match."""
