"""polyglance export"""

from pathlib import Path

import click

from cli.app import App
from cli.errors import CommandError

FORMATS = ("parquet", "clip-retrieval", "npy")


@click.command(
    "export",
    epilog="parquet makes one file, the others a folder; `polyglance import` takes in all three.",
)
@click.argument("target", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(FORMATS), default="parquet", show_default=True)
@click.option("--collection", metavar="NAME", help="Only this collection's pictures.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@click.pass_obj
def command(app: App, target: Path, kind: str, collection: str | None, force: bool) -> None:
    """Write embeddings and what is known of their pictures."""
    from storage.exchange.writing import export
    from storage.upkeep.housekeeping import require_collection

    library = app.open_library()
    space = library.active_space()
    if space is None:
        raise CommandError(f"The library in {library.data_dir} is empty: nothing to export.")
    if collection is not None:
        require_collection(library.engine, collection)
    count = export(library, space, target.absolute(), kind, collection=collection, force=force)
    click.echo(f"{count:,} pictures with their embeddings are in {click.format_filename(target)}")
