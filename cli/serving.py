"""Running the web server."""

import errno
import logging
import socket
from collections.abc import Callable

import click
import waitress

from cli.config import ServeConfig
from cli.errors import CommandError
from search.access.config import AccessConfig
from search.access.hosts import is_loopback
from search.access.request_log import LOGGER, JsonLines
from search.engine import SearchEngine
from storage.api_keys import has_active_keys
from storage.library import Library
from webui.app import METRICS, create_app
from webui.config import WebConfig

MOST_HEADER_BYTES = 32 * 1024


def require_keys_beyond_this_machine(library: Library, config: ServeConfig) -> None:
    """Raises CommandError where anybody on the network could come in."""
    if is_loopback(config.host) or config.insecure_no_auth or has_active_keys(library.engine):
        return
    raise CommandError(
        f"On {config.host} anybody who reaches this machine could see all pictures. Either make "
        "a key first, which the pages and the API then ask for:  polyglance keys create NAME\n"
        "or say that the network is trusted:  --insecure-no-auth"
    )


def serve_forever(
    engine: SearchEngine, config: ServeConfig, when_ready: Callable[[str], None]
) -> None:
    """Serve until interrupted. when_ready is told the address. Raises CommandError."""
    require_keys_beyond_this_machine(engine.library, config)
    _set_up_log(config)
    engine.warm_up()
    web = WebConfig(model_notice=engine.encoder.notice, access=access_of(config))
    app = create_app(engine, web)
    # Bound by ourselves: waitress leaves its own socket open when it can't have the port.
    listening = listen(config)
    server = waitress.create_server(
        app,
        sockets=[listening],
        threads=config.threads,
        ident="polyglance",
        max_request_header_size=MOST_HEADER_BYTES,
        # Refused before it is all read; the app itself refuses what is larger by a byte.
        max_request_body_size=app.config["MAX_CONTENT_LENGTH"],
        # Without proxies of ours nothing that claims to come through one reaches the app.
        clear_untrusted_proxy_headers=not config.trusted_proxies,
    )
    app.extensions[METRICS].watch_queue(lambda: len(server.task_dispatcher.queue))
    when_ready(address_of(listening, config))
    try:
        server.run()
    finally:
        server.close()
    click.echo("Stopped.", err=True)


def listen(config: ServeConfig) -> socket.socket:
    """Raises CommandError."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        raise CommandError(_why_not(error, config)) from error


def address_of(listening: socket.socket, config: ServeConfig) -> str:
    host = f"[{config.host}]" if listening.family == socket.AF_INET6 else config.host
    return f"http://{host}:{listening.getsockname()[1]}"


def access_of(config: ServeConfig) -> AccessConfig:
    return AccessConfig(
        bound_host=config.host,
        open_without_keys=is_loopback(config.host) or config.insecure_no_auth,
        allowed_hosts=config.allowed_hosts,
        cors_origins=config.cors_origins,
        trusted_proxies=config.trusted_proxies,
        requests_per_minute=config.requests_per_minute,
        log_queries=config.log_queries,
    )


def _set_up_log(config: ServeConfig) -> None:
    """A line for each request, whatever else is worth a line."""
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    if config.log_format == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())


def _why_not(error: OSError, config: ServeConfig) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {config.port} on {config.host} is in use, perhaps by another polyglance. "
            f"Choose another: --port {config.port + 1}"
        )
    if error.errno == errno.EACCES:
        return f"Port {config.port} may not be used without more rights; choose one above 1023."
    return f"Can't listen on {config.host}, port {config.port}: {error.strerror or error}."
