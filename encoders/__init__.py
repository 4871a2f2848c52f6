"""Pictures and texts → embeddings. Imports nothing of ours."""

from encoders.config import EncoderConfig
from encoders.errors import (
    CheckpointNotFound,
    CheckpointUnavailable,
    EncoderError,
    SelfTestFailed,
    UnsupportedCheckpoint,
)
from encoders.load import load_encoder
from encoders.protocol import Embeddings, EmbeddingSpace, Encoder, Preprocessed, Preprocessor

__all__ = [
    "CheckpointNotFound",
    "CheckpointUnavailable",
    "EmbeddingSpace",
    "Embeddings",
    "Encoder",
    "EncoderConfig",
    "EncoderError",
    "Preprocessed",
    "Preprocessor",
    "SelfTestFailed",
    "UnsupportedCheckpoint",
    "load_encoder",
]
