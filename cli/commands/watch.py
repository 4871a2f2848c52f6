"""polyglance watch"""

import signal
import time
from dataclasses import replace
from types import FrameType

import click

from cli.app import App


@click.command(
    "watch",
    epilog="Ctrl-C or SIGTERM ends it, with what is in flight committed and exit status 0. After a "
    "restart it catches up. Folders behind symbolic links are seen at the start and with --poll.",
)
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@click.option("--collection", metavar="NAME", help="Put the pictures into this collection.")
@click.option("--prune", is_flag=True, help="Forget pictures whose files are gone.")
@click.option(
    "--poll",
    "poll_seconds",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Compare all files so often: for network folders, whose changes nobody tells.",
)
@click.option(
    "--exclude",
    "excludes",
    metavar="PATTERN",
    multiple=True,
    help="Pass over files and folders of such names, besides those of the configuration.",
)
@click.pass_obj
def command(
    app: App,
    sources: tuple[str, ...],
    collection: str | None,
    prune: bool,
    poll_seconds: float | None,
    excludes: tuple[str, ...],
) -> None:
    """Index folders and files, and then whatever changes in them."""
    from indexer.sources.named import resolve_source
    from indexer.watch import Watcher, WatchRequest

    for name in sources:  # before a model is loaded for nothing
        resolve_source(name)
    library = app.open_library(create=True)
    encoder = app.load_encoder_of(library)
    if encoder.notice:
        click.echo(encoder.notice, err=True)
    config = replace(app.config.index, exclude=(*app.config.index.exclude, *excludes))
    request = WatchRequest(sources, collection, prune, poll_seconds)
    watcher = Watcher(library, encoder, config, request, _say)

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)  # once more to give up
        watcher.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    _say(f"Watching {', '.join(map(click.format_filename, sources))}")
    watcher.run()
    _say("Stopped.")


def _say(words: str) -> None:
    """A line for whoever reads the log."""
    click.echo(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {click.format_filename(words)}")
