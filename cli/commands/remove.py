"""polyglance remove"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.app import App

if TYPE_CHECKING:
    from storage.upkeep.housekeeping import Forgettable


@click.command("remove", epilog="What is forgotten comes back only when it is indexed again.")
@click.argument("paths", metavar="[PATH…]", nargs=-1)
@click.option("--collection", metavar="NAME", help="Forget all pictures of this collection.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be forgotten.")
@click.pass_obj
def command(
    app: App, paths: tuple[str, ...], collection: str | None, yes: bool, dry_run: bool
) -> int:
    """Forget pictures: files and folders (PATH…) or a collection. Files on disk stay."""
    if bool(paths) == (collection is not None):
        raise click.UsageError("Say what to forget: either PATH… or --collection NAME.")
    from storage.upkeep.housekeeping import Choice, forget, forgettable

    choice = Choice(collection, tuple(absolute(path) for path in paths))
    library = app.open_library()
    words = _in_words(forgettable(library.engine, choice))
    if dry_run:
        click.echo(f"Would forget {words}. Nothing was changed.")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"This forgets {words}, and there is no terminal to ask at: say --yes."
            )
        if not click.confirm(f"Forget {words}? The files themselves stay.", err=True):
            click.echo("Nothing was forgotten.", err=True)
            return 1
    click.echo(f"Forgot {_in_words(forget(library, choice))}. The files themselves are untouched.")
    return 0


def absolute(path: str) -> Path:
    """As `index` names what it is given: links are not followed, and a URL is as it is."""
    from storage.sources.remote import is_url

    if is_url(path) and not path.startswith("file://"):
        return Path(path)
    path = path.removeprefix("file://")
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100


def _in_words(chosen: "Forgettable") -> str:
    words = f"{chosen.pictures:,} pictures ({len(chosen.located):,} files)"
    if chosen.failures:
        words += f" and {len(chosen.failures):,} files that could not be read"
    return words
