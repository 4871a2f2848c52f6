"""polyglance index"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.app import App
from cli.quick_start import nothing_collected

if TYPE_CHECKING:
    from indexer.config import IndexConfig


EXAMPLES = """
A SOURCE is a folder, a picture, a plain tar (a webdataset or img2dataset shard), a Parquet file
whose rows hold pictures (Hugging Face datasets, img2dataset), or - for a list of names on standard
input, one a line or divided by NUL bytes. Tars and Parquet files within folders are looked into as
if they were folders; nothing is unpacked. Captions in .txt, .json and .xmp files beside a picture
are taken along. Any of these but the list may be a URL; the package of its protocol (s3fs, gcsfs,
adlfs, aiohttp for http) must be installed.

\b
  polyglance index ~/Pictures /media/ann/disk
  polyglance index laion/shards --collection laion
  polyglance index laion/shards/00000.tar train-00000-of-00002.parquet
  find ~/Pictures -newer last -print0 | polyglance index -
  polyglance index ~/Pictures --exclude '*_thumb.jpg' --exclude raw
  polyglance index s3://bucket/photos
"""


@click.command(
    "index",
    help="Index folders, files and datasets of pictures.\n" + EXAMPLES,
    epilog="Run it again at any time: only what is new or changed is embedded.",
)
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@click.option("--collection", metavar="NAME", help="Put the pictures into this collection.")
@click.option(
    "--model",
    metavar="CKPT",
    help="Model that a new library is made with: a hub id, a folder, or `starter`.",
)
@click.option("--batch-size", type=click.IntRange(1, 4096), help="Pictures per forward pass.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that read and decode.")
@click.option(
    "--exclude",
    "excludes",
    metavar="PATTERN",
    multiple=True,
    help="Pass over files and folders of such names, besides those of the configuration.",
)
@click.option("--null", "by_null", is_flag=True, help="The list is divided by NUL bytes only.")
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
    excludes: tuple[str, ...],
    by_null: bool,
    retry_failed: bool,
    prune: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    config = app.config.index
    config = replace(config, exclude=(*config.exclude, *excludes))
    if batch_size is not None:
        config = replace(config, batch_size=batch_size)
    if workers is not None:
        config = replace(config, workers=workers)
    sources, listed = _with_list(sources, by_null=by_null)
    if dry_run:
        return _dry_run(app, (sources, listed), config, as_json)
    with nothing_collected():
        from cli.indexing import report_as_json, report_in_words, run_index_job
        from indexer.report import IndexRequest
        from indexer.sources.img2dataset import download_status
        from indexer.sources.named import find_sources
        from search.ranking.relevance import FEW_PICTURES
        from storage.pictures import count_images
        from storage.spaces import require_same_space

        find_sources(sources, listed)  # before a model is loaded for nothing
        library = app.open_library(create=True)
        space = library.active_space()
        checkpoint = model or (space.checkpoint if space else app.config.model)
        encoder = app.load_encoder(checkpoint, library.data_dir)
    if space is not None:
        require_same_space(space, encoder.space, library.data_dir)
    if encoder.notice and not as_json:
        click.echo(encoder.notice, err=True)
    request = IndexRequest(sources, collection, retry_failed, prune, listed)
    report = run_index_job(library, encoder, config, request)
    if count_images(library.engine) > FEW_PICTURES:
        app.background_of(encoder, library.data_dir)  # so that the first search need not wait
    if as_json:
        click.echo(json.dumps(report_as_json(report)))
    else:
        click.echo(report_in_words(report, library.data_dir))
        for source in sources:
            status = download_status(Path(source))
            if status is not None:
                click.echo(f"{source}: {status}")
    return 130 if report.status == "interrupted" else 0


def _with_list(
    sources: tuple[str, ...], *, by_null: bool
) -> tuple[tuple[str, ...], list[str] | None]:
    """What was named, and the names on standard input, if that was named too."""
    if "-" not in sources:
        if by_null:
            raise click.UsageError("--null is about a list on standard input: name - as well.")
        return sources, None
    from indexer.sources.listed import split_list

    listed = split_list(sys.stdin.buffer.read(), by_null=by_null)
    return tuple(name for name in sources if name != "-"), listed


def _dry_run(
    app: App,
    sources_and_list: tuple[tuple[str, ...], list[str] | None],
    config: "IndexConfig",
    as_json: bool,
) -> int:
    from indexer.preview import preview
    from storage.errors import LibraryNotFound

    try:
        library = app.open_library()
    except LibraryNotFound:
        library = None
    sources, listed = sources_and_list
    counts = preview(library, sources, config, listed)
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
