"""A checkpoint's name → an encoder."""

from encoders.config import EncoderConfig
from encoders.protocol import Encoder

STARTER = "starter"
"""The checkpoint that comes with Polyglance and needs no download."""


def load_encoder(checkpoint: str, config: EncoderConfig) -> Encoder:
    """The encoder for `starter`, a local folder, or a hub id such as google/siglip2-…-224."""
    if checkpoint == STARTER:
        from encoders.starter import StarterEncoder

        return StarterEncoder()
    from encoders.checkpoints import locate_checkpoint
    from encoders.siglip import DualEncoder

    return DualEncoder(locate_checkpoint(checkpoint, config.revision), config)
