"""The worker: a process that does one thing at a time, as it is told.

It ends when the other end of its socket is closed, which the system does for a process that was
killed. A picture that keeps it busy far beyond its time ends it by an alarm, should nobody be
left who would.
"""

import os
import pickle
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from imaging.workers.channel import receive, send
from imaging.workers.process import Introduction

GRACE_S = 2.0
"""Who gave the work stops a slow worker; the alarm is for a worker that was left alone."""

_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = "1000"


class Task(Protocol):
    """What a worker is for."""

    def answer(self, connection: socket.socket, message: Any) -> None:
        """Do what the message says, and send what comes of it."""


def main() -> None:
    _leave_no_core_dump()
    _go_first_when_memory_runs_out()
    connection = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    nowhere = os.open(os.devnull, os.O_RDWR)
    # Native decoders complain on stderr, which belongs to the progress bar.
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    try:
        _serve(connection)
    except (EOFError, OSError):  # whoever gave the work has gone
        os._exit(0)


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """What takes longer, and a grace, ends the process, whatever native code it is in."""
    _set_alarm(seconds + GRACE_S)
    try:
        yield
    finally:
        _set_alarm(0)


def _leave_no_core_dump() -> None:
    """A crash is reported by its picture's failure; nobody wants half a gigabyte beside it."""
    if os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _go_first_when_memory_runs_out() -> None:
    """Linux would sooner end the largest process, which is the one that holds the model."""
    with suppress(OSError):  # another system, or one that does not let itself be told
        _OOM_SCORE.write_text(_FIRST_TO_GO)


def _serve(connection: socket.socket) -> None:
    task: Task | None = None
    while True:
        message = receive(connection)
        if isinstance(message, Introduction):
            task, problem = _loaded(message)
            send(connection, problem)
            continue
        assert task is not None
        task.answer(connection, message)


def _loaded(message: Introduction) -> tuple[Task | None, str | None]:
    """The task, or what is wrong with it."""
    sys.path[:] = message.sys_path
    try:
        return pickle.loads(message.task), None  # noqa: S301  (from the process that started us)
    except (ImportError, AttributeError, TypeError) as error:
        return None, str(error)


def _set_alarm(seconds: float) -> None:
    """Zero for none. Its default action ends the process."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
