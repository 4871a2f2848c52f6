"""Checkpoints on this computer: found or downloaded, checked, and known by their content."""

from encoders.checkpoints.locate import LocatedCheckpoint, locate_checkpoint

__all__ = ["LocatedCheckpoint", "locate_checkpoint"]
