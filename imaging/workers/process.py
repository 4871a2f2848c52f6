"""A worker, as seen from the process that started it.

Workers are plain subprocesses on a socket and not multiprocessing's, which import `__main__`
again.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from imaging.workers.channel import receive, send

START_S = 60.0

# Signals of the terminal are for whoever started the worker; before Python has started wholly,
# only being in another process group keeps them out.
_BOOT = (
    "import signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "sys.path[:] = sys.argv[1:]\n"
    "from imaging.workers.child import main\n"
    "main()\n"
)
_KEPT_BYTES = str(32 << 20)
_KEEPING_MEMORY = {"MALLOC_MMAP_THRESHOLD_": _KEPT_BYTES, "MALLOC_TRIM_THRESHOLD_": _KEPT_BYTES}
"""For glibc, which else gives most pictures' memory back to the system, one by one, and gets it
back page by page: up to an eighth of a worker's time."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Introduction:
    """The first message to a worker from each who takes it. `task` is pickled; its classes may
    have to be looked for on the sender's `sys_path`."""

    sys_path: tuple[str, ...]
    task: bytes


class TaskUnloadable(Exception):
    """The worker can't unpickle its task; the message says why."""


class WorkerLost(Exception):
    """The worker died at its work. `signal_number` is what killed it, if it was a signal."""

    def __init__(self, exit_status: int | None) -> None:
        super().__init__(exit_status)
        self.exit_status = exit_status

    @property
    def signal_number(self) -> int | None:
        killed = self.exit_status is not None and self.exit_status < 0
        return -self.exit_status if killed and self.exit_status is not None else None

    @property
    def how(self) -> str:
        """Such as "SIGSEGV", "exit status 3"."""
        number = self.signal_number
        if number is None:
            return f"exit status {self.exit_status}"
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"signal {number}"


class Worker:
    """One process. Raises WorkerLost or TimeoutError, after which it is of no more use."""

    def __init__(self) -> None:
        """Raises OSError when the system can't start a process more."""
        ours, theirs = socket.socketpair()
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  (this very Python)
                [sys.executable, "-c", _BOOT, *sys.path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**_KEEPING_MEMORY, **os.environ, **_ONE_THREAD},
                process_group=0 if os.name == "posix" else None,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._connection = ours

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def introduce(self, task: bytes) -> None:
        """Give it its task. One that it has had before shows that it is still there.

        Raises TaskUnloadable.
        """
        problem = self.ask(Introduction(tuple(sys.path), task), time.monotonic() + START_S)
        if problem is not None:
            raise TaskUnloadable(problem)

    def ask(self, message: object, deadline: float) -> Any:
        """deadline: by time.monotonic()."""
        try:
            send(self._connection, message, deadline)
            return receive(self._connection, deadline)
        except EOFError as error:
            raise WorkerLost(self._exit_status()) from error

    def tell(self, message: object) -> None:
        """What it does not answer. A worker that is gone is noticed when it is asked next."""
        try:
            send(self._connection, message)
        except EOFError as error:
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
