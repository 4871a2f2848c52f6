"""polyglance import"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.app import App
from cli.errors import CommandError

if TYPE_CHECKING:
    from encoders import Encoder
    from indexer.exchange.job import ImportReport
    from storage.exchange.reading import Incoming
    from storage.library import Library


@click.command(
    "import",
    epilog="The pictures must be where the files say: each is read for its facts and its "
    "thumbnail; only embedding it is spared. Run it again at any time to go on.",
)
@click.argument("source", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--model", metavar="CKPT", help="The model that made the embeddings.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder at which relative paths begin.",
)
@click.option("--collection", metavar="NAME", help="Put the pictures into this collection.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(
    app: App,
    source: Path,
    model: str | None,
    root: Path | None,
    collection: str | None,
    as_json: bool,
) -> int:
    """Take in embeddings that were made elsewhere with the same model."""
    from cli.indexing import stop_on_signal
    from indexer.exchange.job import ImportJob
    from storage.exchange.reading import open_incoming

    incoming = open_incoming(source.absolute())
    library = app.open_library(create=True)
    encoder = _encoder(app, library, incoming, model)
    job = ImportJob(library, encoder, app.config.index)
    with stop_on_signal(job.stop):
        base = None if root is None else root.absolute()
        report = job.run(incoming, source.absolute(), base=base, collection=collection)
    click.echo(_as_json(report) if as_json else _in_words(report))
    return 130 if report.status == "interrupted" else 0


def _encoder(app: App, library: "Library", incoming: "Incoming", model: str | None) -> "Encoder":
    from storage.spaces import require_same_space

    space = library.active_space()
    if incoming.fingerprint is None and model is None:
        raise CommandError(
            "The files do not say which model made their embeddings. Say it with --model; a "
            "sample of the pictures is embedded anew to see that it is true."
        )
    checkpoint = model or (space.checkpoint if space else incoming.checkpoint) or app.config.model
    encoder = app.load_encoder(checkpoint, library.data_dir)
    if space is not None:
        require_same_space(space, encoder.space, library.data_dir)
    return encoder


def _as_json(report: "ImportReport") -> str:
    return json.dumps(
        {
            "job": report.job,
            **asdict(report.counts),
            "cosine": report.cosine,
            "seconds": round(report.seconds, 3),
        }
    )


def _in_words(report: "ImportReport") -> str:
    counts = report.counts
    lines = [
        f"{counts.seen:,} pictures named: {counts.imported:,} imported, {counts.unchanged:,} here "
        f"already, {counts.failed:,} failed, in {report.seconds:.1f} s."
    ]
    if report.cosine is not None:
        lines.append(f"A sample embedded anew agrees: mean cosine {report.cosine:.4f}.")
    if counts.missing:
        lines.append(f"{counts.missing:,} are not where image_path says, and were left out.")
    if counts.changed:
        lines.append(
            f"{counts.changed:,} have changed since they were embedded, and were left out: "
            "polyglance index embeds them."
        )
    if counts.failed:
        lines.append(f"For the reasons of those that failed: polyglance jobs {report.job}")
    if report.status == "interrupted":
        lines.append("Interrupted; what was read is kept. Run the same command again to go on.")
    return "\n".join(lines)
