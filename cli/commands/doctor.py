"""polyglance doctor"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli.app import App

if TYPE_CHECKING:
    from storage.upkeep.doctor import Diagnosis, Finding


@click.command("doctor", epilog="Exit status 0 when all is in order or was mended, 1 otherwise.")
@click.option("--repair", "mend", is_flag=True, help="Mend what can be mended.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(app: App, mend: bool, as_json: bool) -> int:
    """Check that the library is whole; your pictures themselves are never touched."""
    found, done = _examine(app, mend)
    is_well = found.only_awaits_indexing if mend else found.is_clean
    if as_json:
        facts = {
            "clean": found.is_clean,
            "pictures": found.pictures,
            "thumbnails_missing": found.thumbnails_missing,
            "findings": [_as_json(finding) for finding in found.findings],
            "done": done,
        }
        click.echo(json.dumps(facts))
        return 0 if is_well else 1
    for sentence in done:
        click.echo(sentence)
    for finding in found.findings:
        click.echo(click.format_filename(f"{finding.kind}: {finding.what}\n  {finding.remedy}"))
    if found.is_clean:
        click.echo(f"The library is in order: {found.pictures:,} pictures.")
    if found.thumbnails_missing:
        click.echo(f"{found.thumbnails_missing:,} thumbnails are missing; they are made on need.")
    return 0 if is_well else 1


def _as_json(finding: "Finding") -> dict[str, Any]:
    shown = {"what": finding.what, "remedy": finding.remedy}
    return {**asdict(finding), **{key: click.format_filename(shown[key]) for key in shown}}


def _examine(app: App, mend: bool) -> tuple["Diagnosis", list[str]]:
    """What is left to find, and what was done about the rest."""
    from sqlalchemy.exc import DBAPIError

    from storage.errors import CatalogUnusable
    from storage.upkeep.doctor import Diagnosis, examine
    from storage.upkeep.repair import repair

    try:
        library = app.open_library()
    except (CatalogUnusable, DBAPIError) as error:
        unopened = Diagnosis(catalog_is_sound=False)
        reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        remedy = "Nothing else can be looked at until catalog.db is restored or may be written."
        unopened.add("catalog_damaged", reason, remedy)
        return unopened, []
    if not mend:
        return examine(library), []
    repaired = repair(library)
    return repaired.after, repaired.done
