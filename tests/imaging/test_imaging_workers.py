"""Messages between a process and its workers, and what a worker costs when it is gone."""

import pickle
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from imaging.workers import WorkersUnavailable, nursery, receive, send

LARGE = 8 << 20
"""Bytes; more than any socket holds that nobody reads."""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_message_arrives_as_it_was_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    written = np.arange(LARGE, dtype=np.uint8)
    kept = pickle.PickleBuffer(b"kept" * LARGE)
    sender = threading.Thread(target=send, args=(ours, {"written": written, "kept": kept}))
    sender.start()
    came = receive(theirs, time.monotonic() + 60)
    sender.join()
    assert np.array_equal(came["written"], written)
    assert came["written"].flags.writeable
    assert came["kept"] == b"kept" * LARGE


def test_nobody_waits_longer_than_the_deadline(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    with pytest.raises(TimeoutError):
        receive(ours, time.monotonic() + 0.05)
    with pytest.raises(TimeoutError):
        send(ours, np.zeros(LARGE, np.uint8), time.monotonic() + 0.05)
    with pytest.raises(TimeoutError):  # the rest of the message does not come
        receive(theirs, time.monotonic() + 0.2)


def test_an_end_that_is_gone_is_noticed(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(EOFError):
        send(ours, np.zeros(LARGE, np.uint8))
    with pytest.raises(EOFError):
        receive(ours)


def test_where_no_process_can_be_started_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nursery.close()
    monkeypatch.setattr("sys.executable", "/no/such/python")
    with pytest.raises(WorkersUnavailable, match="can't be started"):
        nursery.take(b"")
