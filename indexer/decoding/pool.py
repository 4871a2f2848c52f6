"""The job's side of the decode workers: starting, asking, giving up on and replacing them.

A worker costs a fifth of a second of computing to start, so they are started only as there is
work for them, and wait for the next job of the same process when one is over.
"""

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from indexer.decoding.messages import DecodeSetup, Introduction, receive, send
from indexer.errors import DecodersUnavailable

FILES_A_WORKER = 4
"""So many files must wait before it is worth starting another worker."""

START_S = 60.0
STARTS = 3

# Signals of the terminal are for the job, which finishes its batch; before Python has started
# wholly, only being in another process group keeps them out.
_BOOT = (
    "import signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "sys.path[:] = sys.argv[1:]\n"
    "from indexer.decoding.worker import main\n"
    "main()\n"
)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkerLost(Exception):
    """The worker died at its work. `signal_number` is what killed it, if it was a signal."""

    def __init__(self, exit_status: int | None) -> None:
        super().__init__(exit_status)
        self.exit_status = exit_status

    @property
    def signal_number(self) -> int | None:
        killed = self.exit_status is not None and self.exit_status < 0
        return -self.exit_status if killed and self.exit_status is not None else None


class DecodeWorker:
    """One process. Raises WorkerLost or TimeoutError, after which it is of no more use."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  (this very Python)
                [sys.executable, "-c", _BOOT, *sys.path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, **_ONE_THREAD},
                process_group=0 if os.name == "posix" else None,
            )
        self._connection = ours
        self._introduced: bytes | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def introduce(self, setup: bytes) -> None:
        """Tell it how the files to come are decoded."""
        if self._introduced != setup:
            message = Introduction(tuple(sys.path), setup)
            problem = self.ask(message, time.monotonic() + START_S)
            if problem is not None:
                raise DecodersUnavailable(
                    f"The encoder's preprocessor can't be loaded in a decode worker: {problem}."
                )
            self._introduced = setup

    def ask(self, message: object, deadline: float) -> Any:
        try:
            send(self._connection, message)
            return receive(self._connection, deadline)
        except TimeoutError:
            raise
        except (EOFError, OSError) as error:
            raise WorkerLost(self._exit_status()) from error

    def tell(self, message: object) -> None:
        """What it does not answer. A worker that is gone is noticed when it is asked next."""
        try:
            send(self._connection, message)
        except OSError as error:
            raise WorkerLost(self._exit_status()) from error

    def _exit_status(self) -> int | None:
        try:
            return self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """While another thread is asking it; that one then ends it."""
        self._process.kill()

    def end(self, *, at_once: bool) -> None:
        self._connection.close()
        if at_once:
            self._process.kill()

    def has_ended(self, timeout_s: float) -> bool:
        try:
            self._process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def disown(self) -> None:
        """In a forked child: the process is the parent's."""
        self._connection.close()
        self._process.returncode = 0


class _Nursery:
    """All workers of this process: those that wait for a job, and those that are ending."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: set[DecodeWorker] = set()
        self._idle: list[DecodeWorker] = []
        self._ending: list[DecodeWorker] = []

    def take(self) -> DecodeWorker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive():
                    return worker
                worker.end(at_once=True)
                self._alive.discard(worker)
        worker = DecodeWorker()
        with self._lock:
            self._alive.add(worker)
        return worker

    def give_back(self, worker: DecodeWorker) -> None:
        with self._lock:
            self._idle.append(worker)

    def end(self, worker: DecodeWorker) -> None:
        """One that waits for a disk can't even be killed before the disk answers: nobody waits
        for it here."""
        worker.end(at_once=True)
        with self._lock:
            self._alive.discard(worker)
            self._ending = [each for each in self._ending if not each.has_ended(0)]
            self._ending.append(worker)

    def close(self) -> None:
        for worker in self._alive:
            worker.end(at_once=False)
        for worker in self._alive:
            if not worker.has_ended(1.0):
                worker.end(at_once=True)
        for worker in (*self._alive, *self._ending):
            worker.has_ended(1.0)

    def disown(self) -> None:
        for worker in (*self._alive, *self._ending):
            worker.disown()
        self.__init__()  # type: ignore[misc]


_nursery = _Nursery()
atexit.register(_nursery.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_nursery.disown)


class DecodePool:
    """At most `size` workers for one job, which lends them to its threads one by one."""

    def __init__(self, setup: DecodeSetup, size: int) -> None:
        self._setup = pickle.dumps(setup)
        self._size = size
        self._condition = threading.Condition()
        self._free: list[DecodeWorker] = []
        self._wanted = 0
        """Workers that the job's threads may hold or have at hand."""
        self._lent: set[DecodeWorker] = set()
        self._held = 0

    def expect(self, files: int) -> None:
        """So many files are waiting or being read."""
        with self._condition:
            wanted = min(self._size, -(-files // FILES_A_WORKER))
            if wanted > self._wanted:
                self._wanted = wanted
                self._condition.notify_all()

    @contextmanager
    def worker(self) -> Iterator[DecodeWorker]:
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
                _nursery.end(worker)
                worker = None
            raise
        finally:
            with self._condition:
                self._held -= 1
                if worker is not None:
                    self._lent.discard(worker)
                    self._free.append(worker)
                self._condition.notify()

    def _introduced(self) -> DecodeWorker:
        """A worker that is ready. One that dies before has met no file, and blames none."""
        for _ in range(STARTS):
            worker = _nursery.take()
            try:
                worker.introduce(self._setup)
            except (WorkerLost, TimeoutError) as error:
                _nursery.end(worker)
                last = error
            except BaseException:
                _nursery.end(worker)
                raise
            else:
                return worker
        raise DecodersUnavailable(
            "The processes that decode pictures can't be started, or end at once "
            f"({last!r}). What they said stands above; is there enough memory?"
        )

    def give_up(self) -> None:
        """Nobody waits for what is being read: end the workers that are at it."""
        for worker in tuple(self._lent):
            worker.kill()

    def __enter__(self) -> "DecodePool":
        return self

    def __exit__(self, *_: object) -> None:
        """The job's threads have ended: its workers wait for the next job."""
        for worker in self._free:
            _nursery.give_back(worker)
        self._free.clear()


def describe_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
