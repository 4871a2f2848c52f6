"""Running the web server."""

import errno
from collections.abc import Callable

import click
import waitress
from webui.app import create_app
from webui.config import WebConfig

from cli.config import ServeConfig
from cli.errors import CommandError
from search.engine import SearchEngine


def serve_forever(
    engine: SearchEngine, config: ServeConfig, when_ready: Callable[[str], None]
) -> None:
    """Serve until interrupted. when_ready is told the address. Raises CommandError."""
    app = create_app(engine, WebConfig(model_notice=engine.encoder.notice))
    try:
        server = waitress.create_server(
            app, host=config.host, port=config.port, threads=config.threads, ident="polyglance"
        )
    except OSError as error:
        raise CommandError(_why_not(error, config)) from error
    host = f"[{config.host}]" if ":" in config.host else config.host
    when_ready(f"http://{host}:{server.effective_port}")
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
