"""The real web server on loopback, for a test's time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import waitress
import waitress.server
from flask import Flask


@contextmanager
def served(app: Flask, threads: int = 2) -> Iterator[str]:
    """The app on a real server: its address, such as http://127.0.0.1:41234."""
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=threads)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        # Workers first, then the loop from inside itself: closed from here, either could still
        # use what is gone.
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(lambda: _close(server))
        thread.join(timeout=30)
    assert not thread.is_alive(), "the server goes on"


def _close(server: waitress.server.TcpWSGIServer) -> None:
    """With its connections: one whose request no worker took would keep the loop for ever."""
    for channel in list(server.active_channels.values()):
        channel.handle_close()
    server.close()
