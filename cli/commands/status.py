"""polyglance status"""

import json
from typing import Any

import click

from cli.app import App


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(app: App, as_json: bool) -> None:
    """What is in the library: pictures, model, index."""
    from storage.jobs import count_failures
    from storage.pictures import count_by_collection, count_images

    library = app.open_library()
    space = library.active_space()
    snapshot = library.reader(space).current() if space else None
    manifest = snapshot.manifest if snapshot else None
    facts: dict[str, Any] = {
        "data_dir": str(library.data_dir),
        "pictures": count_images(library.engine),
        "searchable": len(snapshot.image_ids) if snapshot else 0,
        "unreadable_files": count_failures(library.engine),
        "collections": count_by_collection(library.engine),
        "model": space.checkpoint if space else None,
        "dim": space.dim if space else None,
        "fingerprint": space.fingerprint if space else None,
        "index_kind": manifest.kind if manifest else None,
        "index_generation": manifest.generation if manifest else None,
        "tail": len(snapshot.tail_ids) if snapshot else 0,
        "size_bytes": library.size_bytes(),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    collections = ", ".join(f"{name} ({n:,})" for name, n in facts["collections"].items())
    click.echo(f"Library      {facts['data_dir']}  ({facts['size_bytes'] / 1e6:,.1f} MB)")
    click.echo(f"Pictures     {facts['pictures']:,}, {facts['searchable']:,} of them searchable")
    click.echo(f"Collections  {collections or 'none yet'}")
    click.echo(f"Model        {facts['model'] or 'none yet: index a folder first'}")
    if manifest:
        click.echo(
            f"Index        {manifest.kind}, {manifest.count:,} pictures, generation "
            f"{manifest.generation}; {facts['tail']:,} newer ones searched beside it"
        )
    if facts["unreadable_files"]:
        click.echo(f"Unreadable   {facts['unreadable_files']:,} files; see polyglance jobs")
