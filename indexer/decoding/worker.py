"""The decode worker: a process that reads and decodes one file at a time, as it is told.

It ends when its job's end of the socket is closed, which the system does for a job that was
killed. A file that keeps it busy far beyond its time ends it by an alarm, should nobody be left
who would.
"""

import os
import pickle
import signal
import socket
import sys

from indexer.decoding.messages import (
    DecodeSetup,
    FileRead,
    FileToRead,
    Introduction,
    LibraryFault,
    PictureDecoded,
    Unreadable,
    receive,
    send,
)
from indexer.decoding.picture import decode_file, read_file

GRACE_S = 2.0
"""The job stops a slow worker itself; the alarm is for a worker that has lost its job."""


def main() -> None:
    _leave_no_core_dump()
    connection = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    nowhere = os.open(os.devnull, os.O_RDWR)
    # Native decoders complain on stderr, which belongs to the progress bar.
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    try:
        _serve(connection)
    except (EOFError, OSError):  # the job has gone
        os._exit(0)


def _leave_no_core_dump() -> None:
    """A crash is reported by its file's failure; nobody wants half a gigabyte beside it."""
    if os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _serve(connection: socket.socket) -> None:
    setup: DecodeSetup | None = None
    while True:
        message = receive(connection)
        if isinstance(message, Introduction):
            setup, problem = _set_up(message)
            send(connection, problem)
            continue
        assert setup is not None
        _read_and_decode(connection, message, setup)


def _set_up(message: Introduction) -> tuple[DecodeSetup | None, str | None]:
    """The setup, or what is wrong with it."""
    sys.path[:] = message.sys_path
    try:
        return pickle.loads(message.setup), None  # noqa: S301  (from the job that started us)
    except (ImportError, AttributeError, TypeError) as error:
        return None, str(error)


def _read_and_decode(connection: socket.socket, wanted: FileToRead, setup: DecodeSetup) -> None:
    answer: FileRead | Unreadable | PictureDecoded | LibraryFault
    _set_alarm(setup.seconds + GRACE_S)
    read = read_file(wanted, setup.limits.max_bytes)
    _set_alarm(0)
    if isinstance(read, Unreadable):
        send(connection, read)
        return
    data, answer = read
    send(connection, answer)
    if receive(connection):
        _set_alarm(setup.seconds + GRACE_S)
        answer = decode_file(data, answer.sha256, setup)
        _set_alarm(0)
        send(connection, answer)


def _set_alarm(seconds: float) -> None:
    """Zero for none. Its default action ends the process, whatever native code it is in."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
