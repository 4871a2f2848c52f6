"""Pictures and texts → embeddings. Imports nothing of ours."""

from encoders.errors import (
    CheckpointNotFound,
    CheckpointUnavailable,
    EncoderError,
    SelfTestFailed,
    UnsupportedCheckpoint,
)
from encoders.protocol import Embeddings, EmbeddingSpace, Encoder, Preprocessed

__all__ = [
    "CheckpointNotFound",
    "CheckpointUnavailable",
    "EmbeddingSpace",
    "Embeddings",
    "Encoder",
    "EncoderError",
    "Preprocessed",
    "SelfTestFailed",
    "UnsupportedCheckpoint",
]
