"""Work that people should not have to wait behind."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")

NICENESS = 19


def giving_way(do: Callable[[], Result]) -> Result:
    """Do it at a low priority, where the system has one for each thread (Linux).

    In a thread of its own, which ends with it: a priority can be given up, not taken back.
    """
    with ThreadPoolExecutor(1, "giving-way", _give_way) as thread:
        return thread.submit(do).result()


def _give_way() -> None:
    if sys.platform == "linux":
        with suppress(OSError):  # it is done all the same, at the usual priority
            thread = threading.get_native_id()
            now = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, max(now, NICENESS))
