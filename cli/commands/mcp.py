"""polyglance mcp"""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from cli.app import App
from cli.errors import CommandError

if TYPE_CHECKING:
    from cli.config import ServeConfig
    from search.engine import SearchEngine

NOT_INSTALLED = "The MCP server needs a package more: pip install 'polyglance[mcp]'"


@click.command("mcp", epilog="Tools: search_images, get_image, get_status.")
@click.option("--http", is_flag=True, help="Over HTTP, at /mcp, instead of stdin and stdout.")
@click.option("--host", help="With --http: address to listen on  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7701,
    show_default=True,
    help="With --http.",
)
@click.pass_obj
def command(app: App, http: bool, host: str | None, port: int) -> None:
    """Serve the library to assistants, by the Model Context Protocol."""
    try:
        import mcp  # noqa: F401
    except ModuleNotFoundError:
        raise CommandError(NOT_INSTALLED) from None
    library = app.open_library()
    if http:
        from cli.serving import require_keys_beyond_this_machine

        config = replace(app.config.serve, host=host or app.config.serve.host, port=port)
        require_keys_beyond_this_machine(library, config)
        _serve_http(app.open_engine(library), config)
        return
    from search.mcp.server import make_mcp_server

    make_mcp_server(app.open_engine(library)).run("stdio")


def _serve_http(engine: "SearchEngine", config: "ServeConfig") -> None:
    import uvicorn

    from cli.serving import access_of, address_of, listen
    from search.mcp.http import PATH, make_mcp_app

    served = make_mcp_app(engine, access_of(config))
    # Whose word is taken for a client's address: each address has a share of the rate.
    proxies = list(config.trusted_proxies)
    settings = uvicorn.Config(
        served,
        log_level="warning",
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
    )
    with listen(config) as listening:
        server = uvicorn.Server(settings)
        click.echo(f"MCP is at {address_of(listening, config)}{PATH}", err=True)
        server.run(sockets=[listening])
