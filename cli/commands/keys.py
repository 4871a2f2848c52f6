"""polyglance keys"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli.app import App

if TYPE_CHECKING:
    from storage.api_keys import ApiKeyRecord

SCOPES = ("read", "admin")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group("keys")
def command() -> None:
    """Keys that let programs and people in. While a library has any, the pages and the API ask
    for one."""


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(SCOPES),
    default="read",
    show_default=True,
    help="read: search and see pictures; admin: jobs, folders and metrics as well.",
)
@as_json_option
@click.pass_obj
def create(app: App, name: str, scope: str, as_json: bool) -> None:
    """Make a key and print it: this once, for only a hash of it is kept."""
    from storage.api_keys import create_key

    library = app.open_library()
    try:
        made = create_key(library.engine, name, scope)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps({"key": made.key, **_as_json(made.record)}))
        return
    click.echo(made.key)
    click.echo(
        "Keep it now: it is not shown again. Programs send it as 'Authorization: Bearer KEY'; "
        "people enter it at the sign-in page.",
        err=True,
    )


@command.command("list")
@as_json_option
@click.pass_obj
def list_all(app: App, as_json: bool) -> None:
    """All keys, also those that were revoked."""
    from storage.api_keys import list_keys

    records = list_keys(app.open_library().engine)
    if as_json:
        click.echo(json.dumps({"keys": [_as_json(record) for record in records]}))
        return
    if not records:
        click.echo("No keys: whoever reaches the server may search. polyglance keys create NAME")
    for record in records:
        click.echo(_in_words(record))


@command.command("revoke")
@click.argument("name_or_id", metavar="ID|NAME")
@as_json_option
@click.pass_obj
def revoke(app: App, name_or_id: str, as_json: bool) -> None:
    """Let a key no longer count, from the next request on."""
    from storage.api_keys import revoke_key

    record = revoke_key(app.open_library().engine, name_or_id)
    if as_json:
        click.echo(json.dumps(_as_json(record)))
        return
    click.echo(f"Revoked: {_in_words(record)}")


def _as_json(record: "ApiKeyRecord") -> dict[str, Any]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in asdict(record).items()
    }


def _in_words(record: "ApiKeyRecord") -> str:
    used = "never used"
    if record.last_used_at is not None:
        used = f"last used {record.last_used_at.astimezone():%Y-%m-%d %H:%M}"
    words = (
        f"{record.id:>4}  {record.name}  {record.scope}  "
        f"made {record.created_at.astimezone():%Y-%m-%d %H:%M}  {used}"
    )
    if record.revoked_at is None:
        return words
    return f"{words}  revoked {record.revoked_at.astimezone():%Y-%m-%d %H:%M}"
