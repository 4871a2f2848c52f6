"""What a decode worker does for a job: it reads and decodes one file at a time, as it is told."""

import socket
from dataclasses import dataclass

from imaging.workers.channel import receive, send
from imaging.workers.child import ended_after
from indexer.decoding.messages import DecodeSetup, FileToRead, Unreadable
from indexer.decoding.picture import decode_file, read_file


@dataclass(frozen=True)
class ReadFiles:
    """The task of a job's workers."""

    setup: DecodeSetup

    def answer(self, connection: socket.socket, message: FileToRead) -> None:
        with ended_after(self.setup.seconds):
            read = read_file(message, self.setup.limits.max_bytes)
        if isinstance(read, Unreadable):
            send(connection, read)
            return
        data, file = read
        send(connection, file)
        if receive(connection):
            with ended_after(self.setup.seconds):
                decoded = decode_file(data, file.sha256, self.setup)
            send(connection, decoded)
