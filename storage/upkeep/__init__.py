"""Keeping house: doctor and repair, removing, renaming, moving roots."""
