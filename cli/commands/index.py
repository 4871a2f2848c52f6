"""polyglance index"""

import json
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from cli.app import App

if TYPE_CHECKING:
    from indexer.config import IndexConfig


@click.command("index", epilog="Run it again at any time: only what is new or changed is embedded.")
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@click.option("--collection", metavar="NAME", help="Put the pictures into this collection.")
@click.option(
    "--model",
    metavar="CKPT",
    help="Model that a new library is made with: a hub id, a folder, or `starter`.",
)
@click.option("--batch-size", type=click.IntRange(1, 4096), help="Pictures per forward pass.")
@click.option("--workers", type=click.IntRange(1, 256), help="Threads that read and decode.")
@click.option("--retry-failed", is_flag=True, help="Try again what could not be read before.")
@click.option("--prune", is_flag=True, help="Forget pictures whose files are gone.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(  # noqa: PLR0913, PLR0917  (an option each)
    app: App,
    sources: tuple[str, ...],
    collection: str | None,
    model: str | None,
    batch_size: int | None,
    workers: int | None,
    retry_failed: bool,
    prune: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Index folders and files of pictures."""
    config = app.config.index
    if batch_size is not None:
        config = replace(config, batch_size=batch_size)
    if workers is not None:
        config = replace(config, workers=workers)
    if dry_run:
        return _dry_run(app, sources, config, as_json)
    from cli.indexing import report_as_json, report_in_words, run_index_job
    from indexer.report import IndexRequest
    from indexer.scan import resolve_source
    from search.relevance import FEW_PICTURES
    from storage.pictures import count_images
    from storage.spaces import require_same_space

    for name in sources:  # before a model is loaded for nothing
        resolve_source(name)
    library = app.open_library(create=True)
    space = library.active_space()
    checkpoint = model or (space.checkpoint if space else app.config.model)
    encoder = app.load_encoder(checkpoint, library.data_dir)
    if space is not None:
        require_same_space(space, encoder.space, library.data_dir)
    if encoder.notice and not as_json:
        click.echo(encoder.notice, err=True)
    request = IndexRequest(sources, collection, retry_failed, prune)
    report = run_index_job(library, encoder, config, request)
    if count_images(library.engine) > FEW_PICTURES:
        app.background_of(encoder, library.data_dir)  # so that the first search need not wait
    if as_json:
        click.echo(json.dumps(report_as_json(report)))
    else:
        click.echo(report_in_words(report, library.data_dir))
    return 130 if report.status == "interrupted" else 0


def _dry_run(app: App, sources: tuple[str, ...], config: "IndexConfig", as_json: bool) -> int:
    from indexer.preview import preview
    from storage.errors import LibraryNotFound

    try:
        library = app.open_library()
    except LibraryNotFound:
        library = None
    counts = preview(library, sources, config)
    if as_json:
        json.dump({"dry_run": True, **asdict(counts)}, sys.stdout)
        click.echo()
    else:
        click.echo(
            f"Would look at {counts.seen:,} pictures: {counts.new:,} new or moved, "
            f"{counts.changed:,} changed, {counts.unchanged:,} unchanged, {counts.failed:,} that "
            f"failed before; {counts.removed:,} are gone from the disk. Nothing was written."
        )
    return 0
