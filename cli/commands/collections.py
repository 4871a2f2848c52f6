"""polyglance collections"""

import json

import click

from cli.app import App


@click.group("collections", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Names of the collections, and how many pictures are in each."""
    if ctx.invoked_subcommand is not None:
        return
    from storage.upkeep.housekeeping import list_collections

    assert isinstance(ctx.obj, App)
    found = list_collections(ctx.obj.open_library().engine)
    if as_json:
        facts = [{"name": each.name, "pictures": each.pictures} for each in found]
        click.echo(json.dumps({"collections": facts}))
        return
    if not found:
        click.echo("No collections yet: polyglance index FOLDER makes the first.")
    for each in found:
        click.echo(f"{each.pictures:>9,}  {click.format_filename(each.name)}")


@command.command("rename")
@click.argument("old")
@click.argument("new")
@click.pass_obj
def rename(app: App, old: str, new: str) -> None:
    """Give the collection OLD the name NEW."""
    from storage.upkeep.housekeeping import rename_collection

    rename_collection(app.open_library(), old, new)
    click.echo(f"The collection {old!r} is now {new!r}.")
