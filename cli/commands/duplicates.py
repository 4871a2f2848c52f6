"""polyglance duplicates"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from cli.app import App

if TYPE_CHECKING:
    from storage.duplicates import DuplicateGroup
    from storage.library import Library


@click.command("duplicates", epilog="Nothing is deleted: which to keep is yours to say.")
@click.option("--collection", metavar="NAME", help="Only pictures of this collection.")
@click.option("--exact", "kind", flag_value="exact", help="Only files of the very same bytes.")
@click.option("--near", "kind", flag_value="near", help="Only pictures that merely look the same.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(app: App, collection: str | None, kind: str | None, as_json: bool) -> None:
    """Copies of pictures: the same bytes in several files, or the same picture in another size,
    format or quality. The largest of each group comes first."""
    from search.ranking.looks import looks_of
    from storage.duplicates import duplicate_groups
    from storage.upkeep.housekeeping import require_collection

    library = app.open_library()
    if collection is not None:
        require_collection(library.engine, collection)
    if kind != "exact":
        _fill_hashes(library)
    groups = duplicate_groups(
        library.engine,
        collection=collection,
        looks=looks_of(library),
        exact_only=kind == "exact",
    )
    wanted = (each for each in groups if kind != "near" or not each.is_exact)
    if as_json:
        _print_json(wanted)
    else:
        _print_words(wanted)


def _fill_hashes(library: "Library") -> None:
    from indexer.hashes import fill_missing_hashes
    from storage.duplicates import count_unhashed
    from storage.errors import LibraryBusy

    missing = count_unhashed(library.engine)
    if not missing:
        return
    click.echo(f"Looking at {missing:,} pictures for the first time …", err=True)
    try:
        left = missing - fill_missing_hashes(library)
    except LibraryBusy as error:
        click.echo(f"{error} Until then {missing:,} pictures are left out.", err=True)
        return
    if left:
        click.echo(
            f"{left:,} pictures are left out: they have no thumbnail, and were indexed before "
            "pictures were compared. `polyglance reindex --model` reads all pictures again.",
            err=True,
        )


def _print_words(groups: Iterable["DuplicateGroup"]) -> None:
    count = spare_files = spare_bytes = 0
    for group in groups:
        count += 1
        spare_files += group.files - 1
        spare_bytes += group.spare_bytes
        how = "the same bytes" if group.is_exact else "look the same"
        click.echo(
            f"{group.files:,} files, {how}; all but the first: {_megabytes(group.spare_bytes)}"
        )
        for picture in group.pictures:
            facts = f"{picture.width}×{picture.height} {picture.format}"
            for file in picture.files:
                size = _megabytes(picture.size_bytes)
                click.echo(f"  {facts:<18} {size:>10}  {click.format_filename(file)}")
    if not count:
        click.echo("No duplicates.")
        return
    click.echo(
        f"{count:,} groups; without their first files, {spare_files:,} files of "
        f"{_megabytes(spare_bytes)}. Nothing was deleted."
    )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:,.1f} kB"


def _print_json(groups: Iterable["DuplicateGroup"]) -> None:
    listed = [_as_json(group) for group in groups]
    facts = {
        "groups": listed,
        "spare_files": sum(group["files"] - 1 for group in listed),
        "spare_bytes": sum(group["spare_bytes"] for group in listed),
    }
    click.echo(json.dumps(facts))


def _as_json(group: "DuplicateGroup") -> dict[str, Any]:
    return {
        "exact": group.is_exact,
        "files": group.files,
        "spare_bytes": group.spare_bytes,
        "pictures": [
            {
                "id": each.id,
                "width": each.width,
                "height": each.height,
                "format": each.format,
                "size_bytes": each.size_bytes,
                "files": [click.format_filename(file) for file in each.files],
            }
            for each in group.pictures
        ],
    }
