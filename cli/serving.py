"""Running the web server."""

import errno
import socket
from collections.abc import Callable

import click
import waitress

from cli.config import ServeConfig
from cli.errors import CommandError
from search.engine import SearchEngine
from webui.app import create_app
from webui.config import WebConfig


def serve_forever(
    engine: SearchEngine, config: ServeConfig, when_ready: Callable[[str], None]
) -> None:
    """Serve until interrupted. when_ready is told the address. Raises CommandError."""
    app = create_app(engine, WebConfig(model_notice=engine.encoder.notice))
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        # Bound by ourselves: waitress leaves its own socket open when it can't have the port.
        listening = socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        raise CommandError(_why_not(error, config)) from error
    server = waitress.create_server(
        app, sockets=[listening], threads=config.threads, ident="polyglance"
    )
    host = f"[{config.host}]" if family == socket.AF_INET6 else config.host
    when_ready(f"http://{host}:{listening.getsockname()[1]}")
    try:
        server.run()
    finally:
        server.close()
    click.echo("Stopped.", err=True)


def _why_not(error: OSError, config: ServeConfig) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {config.port} on {config.host} is in use, perhaps by another polyglance. "
            f"Choose another: --port {config.port + 1}"
        )
    if error.errno == errno.EACCES:
        return f"Port {config.port} may not be used without more rights; choose one above 1023."
    return f"Can't listen on {config.host}, port {config.port}: {error.strerror or error}."
