"""Starting without looking for garbage, of which starting makes none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_collected() -> Iterator[None]:
    """For what imports and loads. torch alone makes a quarter of a million objects that stay, and
    the collector would go through all of them again and again: a sixth of the time of importing.

    What is there at the end is not gone through later either, when it would hold up the work.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
