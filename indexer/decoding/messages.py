"""What a job and its decode workers say to each other, over a pair of sockets.

A message is a pickle. Large arrays in it go beside it as they are (pickle protocol 5), so that
pixels are copied into the socket and out of it, and nowhere else.
"""

import pickle
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders import Preprocessed, Preprocessor
from imaging import DecodeLimits
from storage.records import FileStat, NewImage, PictureText
from storage.thumbnails import Thumbnails

_COUNTS = struct.Struct("<QQ")
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class DecodeSetup:
    """How one job's pictures are decoded."""

    limits: DecodeLimits
    preprocessor: Preprocessor
    thumbnails: Thumbnails
    seconds: float
    """How long one file may take."""


@dataclass(frozen=True)
class Introduction:
    """The first message of a job to a worker. `setup` is a pickled DecodeSetup, whose classes may
    have to be looked for on the job's `sys_path`."""

    sys_path: tuple[str, ...]
    setup: bytes


@dataclass(frozen=True)
class FileToRead:
    root: Path
    stat: FileStat


@dataclass(frozen=True)
class FileRead:
    """The worker holds the file's bytes until it hears whether they are wanted decoded."""

    stat: FileStat
    """As the file was when it was read."""
    sha256: bytes
    texts: tuple[PictureText, ...]
    """Words that stand beside the file."""


@dataclass(frozen=True)
class PictureDecoded:
    image: NewImage
    pixels: Preprocessed


@dataclass(frozen=True)
class Unreadable:
    """Why there is no picture; see FailedFile."""

    kind: str
    reason: str
    content_is_bad: bool


@dataclass(frozen=True)
class LibraryFault:
    """The library, not the picture, is in trouble: the job can't go on."""

    error: OSError


def send(connection: socket.socket, message: object) -> None:
    """Raises OSError when nobody is there any more."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    parts = [buffer.raw() for buffer in buffers]
    head = _COUNTS.pack(len(body), len(parts)) + b"".join(_LENGTH.pack(len(part)) for part in parts)
    connection.settimeout(None)
    connection.sendall(head + body)
    for part in parts:
        connection.sendall(part)


def receive(connection: socket.socket, deadline: float | None = None) -> Any:
    """The next message. deadline: by time.monotonic(); None waits for ever.

    Raises TimeoutError when it is past, EOFError when nobody is there any more.
    """
    size, count = _COUNTS.unpack(_exactly(connection, _COUNTS.size, deadline))
    lengths = _exactly(connection, count * _LENGTH.size, deadline)
    body = _exactly(connection, size, deadline)
    buffers = [_exactly(connection, length, deadline) for (length,) in _LENGTH.iter_unpack(lengths)]
    return pickle.loads(body, buffers=buffers)  # noqa: S301  (from a process of our own)


def _exactly(connection: socket.socket, size: int, deadline: float | None) -> bytearray:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        if deadline is None:
            connection.settimeout(None)
        else:
            connection.settimeout(max(deadline - time.monotonic(), 1e-3))
        try:
            got = connection.recv_into(view[filled:])
        except TimeoutError:
            raise
        except OSError as error:
            raise EOFError from error
        if not got:
            raise EOFError
        filled += got
    return data
