"""Token buckets: how often each caller may ask."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MOST_CALLERS = 10_000
"""That are remembered; those who asked longest ago are forgotten, and begin with a full bucket."""


class TokenBuckets:
    """A bucket for each caller, of one minute's requests, filled evenly. Threads may share it."""

    def __init__(
        self,
        per_minute: int,
        most_callers: int = MOST_CALLERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_minute = per_minute
        self._most_callers = most_callers
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        """Caller → (tokens, when they were counted)."""

    def take(self, caller: Hashable) -> int:
        """0 where the caller may go on, else the seconds to wait."""
        per_second = self.per_minute / 60
        with self._lock:
            now = self._clock()
            tokens, counted_at = self._buckets.pop(caller, (float(self.per_minute), now))
            tokens = min(self.per_minute, tokens + (now - counted_at) * per_second)
            allowed = tokens >= 1
            self._buckets[caller] = (tokens - 1 if allowed else tokens, now)
            while len(self._buckets) > self._most_callers:
                self._buckets.popitem(last=False)
        return 0 if allowed else math.ceil((1 - tokens) / per_second)

    def __len__(self) -> int:
        return len(self._buckets)
