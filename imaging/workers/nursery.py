"""The workers of this process: starting, keeping and ending them.

A worker costs a fifth of a second of computing to start, so one that is no longer needed waits
for whoever needs one next.
"""

import atexit
import os
import threading

from imaging.workers.process import TaskUnloadable, Worker, WorkerLost

STARTS = 3
ENDING_S = 0.5
"""A process that was killed is gone within milliseconds, unless it waits for a disk."""


class WorkersUnavailable(Exception):
    """No worker can be had; the message says why."""


class Nursery:
    """All workers of this process: those that wait for work, and those that are ending."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: set[Worker] = set()
        self._idle: list[Worker] = []
        self._ending: list[Worker] = []

    def take(self, task: bytes) -> Worker:
        """A worker that is ready. One that dies before has met no picture, and blames none.

        task: pickled; see `child.Task`. Raises WorkersUnavailable.
        """
        last: Exception | None = None
        for _ in range(STARTS):
            try:
                worker = self._idle_or_new()
            except OSError as error:
                last = error
                continue
            try:
                worker.introduce(task)
            except (WorkerLost, TimeoutError) as error:
                self.end(worker)
                last = error
            except TaskUnloadable as error:
                self.end(worker)
                raise WorkersUnavailable(
                    f"The encoder's preprocessor can't be loaded in a decode worker: {error}."
                ) from error
            except BaseException:
                self.end(worker)
                raise
            else:
                return worker
        raise WorkersUnavailable(
            "The processes that decode pictures can't be started, or end at once "
            f"({last!r}). What they said stands above; is there enough memory?"
        )

    def _idle_or_new(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive():
                    return worker
                worker.end(at_once=True)
                self._alive.discard(worker)
        worker = Worker()
        with self._lock:
            self._alive.add(worker)
        return worker

    def give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append(worker)

    def end(self, worker: Worker) -> None:
        """One that waits for a disk can't even be killed before the disk answers: nobody waits
        for it long."""
        worker.end(at_once=True)
        worker.has_ended(ENDING_S)
        with self._lock:
            self._alive.discard(worker)
            self._ending = [each for each in (*self._ending, worker) if not each.has_ended(0)]

    def pids(self) -> set[int]:
        with self._lock:
            return {worker.pid for worker in self._alive}

    def close(self) -> None:
        """End them all, also those that are at work."""
        with self._lock:
            alive, ending = self._alive, self._ending
            self._alive, self._idle, self._ending = set(), [], []
        for worker in alive:
            worker.end(at_once=False)
        for worker in alive:
            if not worker.has_ended(1.0):
                worker.end(at_once=True)
        for worker in (*alive, *ending):
            worker.has_ended(1.0)

    def disown(self) -> None:
        for worker in (*self._alive, *self._ending):
            worker.disown()
        self.__init__()  # type: ignore[misc]


nursery = Nursery()
atexit.register(nursery.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=nursery.disown)
