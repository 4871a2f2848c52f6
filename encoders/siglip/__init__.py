"""SigLIP 2, SigLIP and the CLIP family, from transformers' checkpoints."""

from encoders.siglip.encoder import DualEncoder

__all__ = ["DualEncoder"]
