"""How much memory of its own a process takes at most, while something runs in it."""

import re
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY_S = 0.02
_STATUS = Path("/proc/self/status")


@dataclass
class MemoryPeak:
    """MiB. Anonymous memory is the process's own. Pages of files that are mapped (the index, the
    shards, libraries) count as resident too; the system takes them back whenever it needs to."""

    at_start: float
    anonymous: float
    resident: float


@contextmanager
def memory_peak() -> Iterator[MemoryPeak]:
    """Filled in while the block runs, and whole at its end."""
    now = anonymous_mib()
    peak = MemoryPeak(now, now, 0.0)
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_EVERY_S):
            peak.anonymous = max(peak.anonymous, anonymous_mib())

    looker = threading.Thread(target=look, name="memory")
    looker.start()
    try:
        yield peak
    finally:
        done.set()
        looker.join()
        peak.anonymous = max(peak.anonymous, anonymous_mib())
        peak.resident = _resident_peak_mib()


def anonymous_mib() -> float:
    """Now; where the system does not tell it apart, the most that was ever resident."""
    if not _STATUS.exists():
        return _resident_peak_mib()
    found = re.search(r"RssAnon:\s+(\d+) kB", _STATUS.read_text())
    return int(found[1]) / 1024 if found else _resident_peak_mib()


def _resident_peak_mib() -> float:
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
