"""Forward passes on a CPU: side by side, each on one core, or one on all cores."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


class Work:
    """How many threads are at something. Safe to share between them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    @contextmanager
    def going_on(self) -> Iterator[None]:
        with self._lock:
            self.count += 1
        try:
            yield
        finally:
            with self._lock:
                self.count -= 1


other_work = Work()
"""Whoever has the cores compute something else than passes says so here: a pass that comes
meanwhile takes one of them."""


class Cores:
    """Threads in which torch computes with one thread each, over weights that all share.

    A team of torch's own threads waits for its slowest at the end of every operator, and waits by
    spinning: where decoders take one of two cores for a moment, the team takes two to eight times
    the CPU time for the same work. Passes of one core each wait for nobody.
    """

    def __init__(self) -> None:
        import torch

        self.count = torch.get_num_threads()
        self._starting = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def map(self, do: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
        """In the order of the parts. Many threads may ask at once: who asks first is served
        first, and no core waits for the last part of another's."""
        return list(self._started().map(do, parts))

    def together(self, do: Callable[[], Result]) -> Result:
        """On all cores at once, for a pass that nothing else is to be done beside.

        In one thread for all who ask, of the whole process: torch makes a team of threads for each
        thread that computes, and where teams are more than the cores together they wait by
        sleeping: a lone query then takes half as long again.
        """
        return _team(self.count).submit(do).result()

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Within it nothing runs here: what is running is waited for, what comes waits. For one
        thread at a time."""
        threads, go_on = self._started(), threading.Event()
        all_halted = threading.Barrier(self.count + 1)

        def halt() -> None:
            all_halted.wait()
            go_on.wait()

        for _ in range(self.count):
            threads.submit(halt)
        all_halted.wait()
        try:
            yield
        finally:
            go_on.set()

    def _started(self) -> ThreadPoolExecutor:
        with self._starting:
            self._threads = self._threads or _single_threads(self.count)
            return self._threads


@cache
def _team(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "all-cores", _use, (count,))


def _use(count: int) -> None:
    import torch

    torch.set_num_threads(count)
    # A thread takes the setting over when it first looks; later it would see another one.
    torch.get_num_threads()


def _single_threads(count: int) -> ThreadPoolExecutor:
    import torch

    before = torch.get_num_threads()
    all_there = threading.Barrier(count)

    def settle(_: int) -> None:
        _use(1)
        all_there.wait()

    threads = ThreadPoolExecutor(count, "core")
    list(threads.map(settle, range(count)))
    # Each thread keeps its own setting; this one's and that of threads to come is put back.
    torch.set_num_threads(before)
    return threads
