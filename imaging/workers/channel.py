"""Messages between a process and its workers, over a pair of sockets.

A message is a pickle. Large arrays in it, and what else is a buffer, go beside it as they are
(pickle protocol 5), so that pixels are copied into the socket and out of it, and nowhere else.
"""

import pickle
import socket
import struct
import time
from typing import Any

_COUNTS = struct.Struct("<QQ")
_BUFFER = struct.Struct("<Q?")
"""Bytes, and whether they may be written to."""

_PIECE_BYTES = 256 * 1024
"""Asked for at once. Room for all of a large message, filled bit by bit, takes three times as long:
each page of it is touched when it is made and again when it is filled."""


def send(connection: socket.socket, message: object, deadline: float | None = None) -> None:
    """deadline: by time.monotonic(); None waits for ever.

    Raises TimeoutError when it is past, EOFError when nobody is there any more.
    """
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    parts = [buffer.raw() for buffer in buffers]
    heads = b"".join(_BUFFER.pack(part.nbytes, not part.readonly) for part in parts)
    try:
        _set_timeout(connection, deadline)
        connection.sendall(_COUNTS.pack(len(body), len(parts)) + heads + body)
        for part in parts:
            _set_timeout(connection, deadline)
            connection.sendall(part)
    except TimeoutError:
        raise
    except OSError as error:
        raise EOFError from error


def receive(connection: socket.socket, deadline: float | None = None) -> Any:
    """The next message; as `send` with the deadline."""
    size, count = _COUNTS.unpack(_exactly(connection, _COUNTS.size, deadline))
    heads = _exactly(connection, count * _BUFFER.size, deadline)
    body = _exactly(connection, size, deadline)
    buffers = []
    for length, writable in _BUFFER.iter_unpack(heads):
        part = _exactly(connection, length, deadline)
        buffers.append(bytearray(part) if writable else part)
    return pickle.loads(body, buffers=buffers)  # noqa: S301  (from a process of our own)


def _exactly(connection: socket.socket, size: int, deadline: float | None) -> bytes:
    pieces, left = [], size
    while left:
        _set_timeout(connection, deadline)
        try:
            piece = connection.recv(min(left, _PIECE_BYTES))
        except TimeoutError:
            raise
        except OSError as error:
            raise EOFError from error
        if not piece:
            raise EOFError
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _set_timeout(connection: socket.socket, deadline: float | None) -> None:
    left = None if deadline is None else max(deadline - time.monotonic(), 1e-3)
    connection.settimeout(left)
