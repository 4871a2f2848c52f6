"""polyglance demo"""

import hashlib
import re
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.app import App

if TYPE_CHECKING:
    from encoders import EmbeddingSpace, Encoder
    from search.engine import SearchEngine


@click.command("demo")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=7700, show_default=True)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--once", is_flag=True, help="Index, run three sample queries, print hits and exit.")
@click.pass_obj
def command(app: App, folder: Path | None, port: int, no_browser: bool, once: bool) -> int:
    """Index a few sample pictures, or a FOLDER of yours, and serve them."""
    from cli.indexing import report_in_words, run_index_job
    from cli.samples import copy_samples
    from indexer.report import IndexRequest

    home = app.config.data_dir / "demo"
    encoder = _encoder_or_starter(app, home)
    data_dir = home / _slug(encoder.space, folder)
    click.echo(f"The demo's library is {data_dir}", err=True)
    app.config = replace(app.config, data_dir=data_dir)
    library = app.open_library(create=True)
    source = folder if folder is not None else copy_samples(home / "pictures")
    collection = None if folder is not None else "samples"
    request = IndexRequest([str(source)], collection, prune=folder is None)
    report = run_index_job(library, encoder, app.config.index, request)
    click.echo(report_in_words(report, data_dir), err=True)
    if report.status == "interrupted":
        return 130
    engine = app.engine_over(library, encoder, home)
    if once:
        return _ask_samples(engine, check=folder is None)
    _serve(app, engine, port, no_browser)
    return 0


def _encoder_or_starter(app: App, home: Path) -> "Encoder":
    from encoders import CheckpointNotFound, CheckpointUnavailable
    from encoders.load import STARTER

    try:
        return app.load_encoder(app.config.model, home)
    except (CheckpointNotFound, CheckpointUnavailable) as error:
        click.echo(f"{error}\nThe demo goes on with the starter encoder.", err=True)
    starter = app.load_encoder(STARTER, home)
    if starter.notice:
        click.echo(starter.notice, err=True)
    return starter


def _slug(space: "EmbeddingSpace", folder: Path | None) -> str:
    """A library of its own for each version of a model and each folder, so that a demo never meets
    another's."""
    model = re.sub(r"[^a-z0-9.]+", "-", Path(space.checkpoint).name.lower())
    model = f"{model}-{space.fingerprint[:8]}"
    if folder is None:
        return model
    where = str(folder.expanduser().resolve())
    return f"{model}-{hashlib.sha256(where.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _ask_samples(engine: "SearchEngine", *, check: bool) -> int:
    """Print the hits of the sample queries; 1 if one of them missed its picture."""
    from cli.samples import SAMPLE_QUERIES
    from search.schemas import SearchRequest

    missed = []
    for query in SAMPLE_QUERIES:
        result = engine.search(SearchRequest(query=query.text, limit=3))
        names = [Path(hit.image.path).name for hit in result.hits]
        click.echo(f"{query.text}  ({query.language})")
        for hit in result.hits:
            click.echo(f"  {hit.relevance:6.1%}  {click.format_filename(hit.image.path)}")
        if check and query.finds not in names:
            missed.append(f"{query.text!r} did not find {query.finds}")
    for words in missed:
        click.echo(f"Error: {words}", err=True)
    return 1 if missed else 0


def _serve(app: App, engine: "SearchEngine", port: int, no_browser: bool) -> None:
    from cli.samples import SAMPLE_QUERIES
    from cli.serving import serve_forever

    def announce(url: str) -> None:
        click.echo(f"\nPolyglance is at {url}  (Ctrl-C stops it). Try:")
        for query in SAMPLE_QUERIES:
            click.echo(f"  {query.text}  ({query.language})")
        if not no_browser:
            webbrowser.open(url)

    serve_forever(engine, replace(app.config.serve, port=port), announce)
