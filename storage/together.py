"""What many threads ask for at once, done together.

What is asked for while nothing is being done is done at once, and what is asked for meanwhile comes
next, together. So one client pays nothing, and many share. Where some have just been done together,
those who asked come in a crowd, and the first of it waits for the others a few milliseconds.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Given = TypeVar("Given")

CROWD_S, ARRIVING_S = 1.0, 0.01
"""For so long after some were done together, the next wait for one another; how long."""


class _Waiting(Generic[Asked, Given]):
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.woken = threading.Event()
        """Set when it is done, and when it is its turn to do it for all that wait."""
        self.has_the_turn = False
        self.given: tuple[Given] | None = None
        self.error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.given is not None or self.error is not None


class Together(Generic[Asked, Given]):
    """Safe to share between threads; that is what it is for."""

    def __init__(
        self,
        do: Callable[[Sequence[Asked]], Sequence[Given]],
        take: Callable[[int], int],
        turns: int = 1,
    ) -> None:
        """do: what is given for each, in their order. take: of so many that wait, how many, the
        oldest first, are done next; one at least. turns: how often it is done at the same time."""
        self._do, self._take, self._free_turns = do, take, turns
        self._queue: list[_Waiting[Asked, Given]] = []
        self._lock = threading.Lock()
        self._crowd_at = -CROWD_S

    def ask(self, asked: Asked) -> Given:
        """Raises what `do` raises for those that it was done together with."""
        mine: _Waiting[Asked, Given] = _Waiting(asked)
        with self._lock:
            self._queue.append(mine)
            if self._free_turns:
                self._free_turns -= 1
                mine.has_the_turn = True
        if not mine.has_the_turn:
            mine.woken.wait()
        if not mine.done:
            self._do_waiting(mine)
        if mine.error is not None:
            raise mine.error
        assert mine.given is not None
        return mine.given[0]

    @property
    def waiting(self) -> int:
        """How many nobody has taken yet."""
        return len(self._queue)

    def _do_waiting(self, mine: _Waiting[Asked, Given]) -> None:
        """For the caller and the oldest of those behind it."""
        if time.monotonic() < self._crowd_at + CROWD_S:
            time.sleep(ARRIVING_S)
        with self._lock:
            others = [each for each in self._queue if not each.has_the_turn]
            batch = [mine, *others[: self._take(1 + len(others)) - 1]]
            self._queue = [each for each in self._queue if each not in batch]
        try:
            all_given = self._do([each.asked for each in batch])
            for each, given in zip(batch, all_given, strict=True):
                each.given = (given,)
        except BaseException as error:  # noqa: BLE001  (each of them raises it)
            for each in batch:
                each.error = error
        if len(batch) > 1:
            self._crowd_at = time.monotonic()
        with self._lock:
            following = next((each for each in self._queue if not each.has_the_turn), None)
            if following is None:
                self._free_turns += 1
            else:
                following.has_the_turn = True
        # What is next begins before those that are done go their ways.
        if following is not None:
            following.woken.set()
        for each in batch:
            each.woken.set()
