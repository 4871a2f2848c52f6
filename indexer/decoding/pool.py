"""A job's workers: lent to its threads one by one, given up on and replaced."""

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from imaging.workers import Worker, WorkersUnavailable, nursery
from indexer.decoding.messages import DecodeSetup
from indexer.decoding.worker import ReadFiles
from indexer.errors import DecodersUnavailable

FILES_A_WORKER = 4
"""So many files must wait before it is worth starting another worker."""


class DecodePool:
    """At most `size` workers for one job, which lends them to its threads one by one."""

    def __init__(self, setup: DecodeSetup, size: int) -> None:
        self._task = pickle.dumps(ReadFiles(setup))
        self._size = size
        self._condition = threading.Condition()
        self._free: list[Worker] = []
        self._wanted = 0
        """Workers that the job's threads may hold or have at hand."""
        self._lent: set[Worker] = set()
        self._held = 0

    def expect(self, files: int) -> None:
        """So many files are waiting or being read."""
        with self._condition:
            wanted = min(self._size, -(-files // FILES_A_WORKER))
            if wanted > self._wanted:
                self._wanted = wanted
                self._condition.notify_all()

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Lends a worker, when one is free. It is replaced if it is lost or too slow."""
        with self._condition:
            self._condition.wait_for(lambda: self._held < max(1, self._wanted))
            self._held += 1
            worker = self._free.pop() if self._free else None
        try:
            if worker is None:
                worker = self._introduced()
            self._lent.add(worker)
            yield worker
        except BaseException:
            if worker is not None:
                self._lent.discard(worker)
                nursery.end(worker)
                worker = None
            raise
        finally:
            with self._condition:
                self._held -= 1
                if worker is not None:
                    self._lent.discard(worker)
                    self._free.append(worker)
                self._condition.notify()

    def _introduced(self) -> Worker:
        try:
            return nursery.take(self._task)
        except WorkersUnavailable as error:
            raise DecodersUnavailable(str(error)) from error

    def give_up(self) -> None:
        """Nobody waits for what is being read: end the workers that are at it."""
        for worker in tuple(self._lent):
            worker.kill()

    def __enter__(self) -> "DecodePool":
        return self

    def __exit__(self, *_: object) -> None:
        """The job's threads have ended: its workers wait for the next job."""
        for worker in self._free:
            nursery.give_back(worker)
        self._free.clear()
