"""polyglance serve"""

from dataclasses import replace

import click

from cli.app import App
from cli.quick_start import nothing_collected


@click.command("serve")
@click.option("--host", help="Address to listen on  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: 7700]")
@click.option(
    "--insecure-no-auth",
    is_flag=True,
    help="Let everybody in who reaches HOST, though the library has no keys.",
)
@click.pass_obj
def command(app: App, host: str | None, port: int | None, insecure_no_auth: bool) -> None:
    """Serve the pages and the JSON API."""
    config = app.config.serve
    config = replace(
        config,
        host=config.host if host is None else host,
        port=config.port if port is None else port,
        insecure_no_auth=insecure_no_auth or config.insecure_no_auth,
    )
    with nothing_collected():
        from cli.precision import calibrate
        from cli.serving import require_keys_beyond_this_machine, serve_forever

        library = app.open_library()
        require_keys_beyond_this_machine(library, config)  # before the model: it takes its time
        engine = app.open_engine(library)
    calibrate(engine.encoder, library)
    serve_forever(
        engine, config, lambda url: click.echo(f"Polyglance is at {url}  (Ctrl-C stops it)")
    )
