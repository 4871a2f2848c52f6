"""Telling pictures from other files without reading them."""

import os
from pathlib import Path

from imaging import PICTURE_SUFFIXES, sniff_format
from storage.sources.places import read_part

SNIFF_BYTES = 64


def claims_to_be_a_picture(path: str) -> bool:
    """By its name. What such a file holds is then looked at, and complained of if it is none."""
    return os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122


def is_a_picture_after_all(path: Path) -> bool:
    """By its first bytes, for a file whose name says nothing."""
    try:
        return sniff_format(read_part(path, 0, SNIFF_BYTES)) is not None
    except OSError:
        return False
