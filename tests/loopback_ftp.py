"""An FTP server on the loopback device: the little of RFC 959 and 3659 that reading takes."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


class _Session(socketserver.StreamRequestHandler):
    server: "LoopbackFtp"

    def handle(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        self.passive: socket.socket | None = None
        self.rest = 0
        self.reply("220 here")
        for line in self.rfile:
            words = line.decode().strip("\r\n\xff\xf4\xf2")
            verb, _, argument = words.partition(" ")
            if verb == "QUIT":
                self.reply("221 bye")
                break
            answer = getattr(self, f"do_{verb.lower()}", None)
            if answer is None:
                self.reply("502 not here")
            else:
                answer(argument)
        if self.passive is not None:
            self.passive.close()

    def reply(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def do_user(self, _: str) -> None:
        self.reply("230 come in")

    def do_type(self, _: str) -> None:
        self.reply("200 as you say")

    def do_abor(self, _: str) -> None:
        self.reply("226 nothing to stop")
        self.reply("226 stopped")

    def do_rest(self, argument: str) -> None:
        self.rest = int(argument)
        self.reply("350 from there")

    def do_pasv(self, _: str) -> None:
        if self.passive is not None:
            self.passive.close()
        self.passive = socket.create_server(("127.0.0.1", 0))
        port = self.passive.getsockname()[1]
        self.reply(f"227 at (127,0,0,1,{port >> 8},{port & 255})")

    def do_mlsd(self, argument: str) -> None:
        folder = self.path_of(argument)
        if not folder.is_dir():
            self.reply("550 no such folder")
            return
        lines = []
        for entry in folder.iterdir():
            found = entry.stat()
            kind = "dir" if entry.is_dir() else "file"
            when = datetime.fromtimestamp(found.st_mtime, UTC).strftime("%Y%m%d%H%M%S.%f")
            lines.append(f"type={kind};size={found.st_size};modify={when}; {entry.name}\r\n")
        self.send("".join(lines).encode())

    def do_retr(self, argument: str) -> None:
        file = self.path_of(argument)
        if not file.is_file():
            self.reply("550 no such file")
            return
        self.server.fetched.append(argument)
        data, self.rest = file.read_bytes()[self.rest :], 0
        self.send(data)

    def send(self, data: bytes) -> None:
        assert self.passive is not None
        self.reply("150 it comes")
        with self.passive.accept()[0] as to:
            try:
                to.sendall(data)
            except OSError:  # it has enough
                self.reply("426 as you like")
                return
        self.reply("226 that was it")

    def path_of(self, argument: str) -> Path:
        if self.server.unplugged:
            return Path("/nowhere")
        return self.server.folder / argument.strip("/")


class LoopbackFtp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.folder = folder
        self.fetched: list[str] = []
        """Paths of files that were fetched, in part or as a whole."""
        self.unplugged = False
        """It answers, and has nothing."""

    @property
    def url(self) -> str:
        return f"ftp://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve_ftp(folder: Path) -> Iterator[LoopbackFtp]:
    with LoopbackFtp(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
