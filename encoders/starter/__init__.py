"""The embedded default where SigLIP 2 can't be had; its models and data come in wheels."""

from encoders.starter.encoder import StarterEncoder

__all__ = ["StarterEncoder"]
