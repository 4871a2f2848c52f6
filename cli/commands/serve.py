"""polyglance serve"""

from dataclasses import replace

import click

from cli.app import App


@click.command("serve")
@click.option("--host", help="Address to listen on  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: 7700]")
@click.pass_obj
def command(app: App, host: str | None, port: int | None) -> None:
    """Serve the pages and the JSON API."""
    config = app.config.serve
    config = replace(
        config,
        host=config.host if host is None else host,
        port=config.port if port is None else port,
    )
    engine = app.open_engine(app.open_library())
    from cli.serving import serve_forever

    serve_forever(
        engine, config, lambda url: click.echo(f"Polyglance is at {url}  (Ctrl-C stops it)")
    )
