"""polyglance remap"""

import click

from cli.app import App
from cli.errors import CommandError


@click.command("remap", epilog="Nothing is embedded again: files keep what is known of them.")
@click.argument("old")
@click.argument("new")
@click.option("--force", is_flag=True, help="Even if the files are not found there now.")
@click.pass_obj
def command(app: App, old: str, new: str, force: bool) -> None:
    """Say that the indexed folder OLD, or all below it, is now at NEW."""
    from cli.commands.remove import absolute
    from storage.sources.places import is_folder
    from storage.upkeep.housekeeping import move_roots, plan_moves, sample_of

    library = app.open_library()
    from_, to = absolute(old), absolute(new)
    moves = plan_moves(library.engine, from_, to)
    if not force:
        for move in moves:
            if not is_folder(move.new):
                raise CommandError(
                    f"{move.new}: there is no such folder. Check the path (is the disk "
                    "there?), or say --force if it is yet to come."
                )
        sampled = sample_of(library.engine, moves)
        if not sampled.is_enough:
            raise CommandError(
                f"Of {sampled.looked_for:,} indexed files looked for, {sampled.there:,} are "
                f"below {to}; missing is, for one, {sampled.first_missing}. Check that {to} is "
                "what moved, or say --force."
            )
    for move in move_roots(library, from_, to):
        click.echo(click.format_filename(f"{move.root.path} → {move.new}"))
