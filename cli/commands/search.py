"""polyglance search"""

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.app import App
from cli.errors import CommandError
from cli.quick_start import nothing_collected

if TYPE_CHECKING:
    from search.engine import SearchEngine, SearchResult

WEIGHTED = re.compile(r"(?P<weight>\d+(?:\.\d+)?):(?P<text>.+)", re.DOTALL)


@click.command("search", epilog='A weight may stand before a query: polyglance search "2:cat" snow')
@click.argument("queries", metavar="[QUERY…]", nargs=-1)
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    help="Search by this picture (with the queries, if there are any).",
)
@click.option("--not", "negatives", metavar="TEXT", multiple=True, help="What should not be there.")
@click.option("-k", "limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--collection", metavar="NAME", multiple=True, help="Only pictures of this one.")
@click.option(
    "--sort",
    type=click.Choice(["relevance", "date"]),
    default="relevance",
    show_default=True,
    help="By date: of what is relevant the newest first.",
)
@click.option("--diversify", is_flag=True, help="Near duplicates and bursts as one hit.")
@click.option("--literal", is_flag=True, help='Take "without" and its like as words like others.')
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(  # noqa: PLR0913, PLR0917  (an option each)
    app: App,
    queries: tuple[str, ...],
    image: Path | None,
    negatives: tuple[str, ...],
    limit: int,
    collection: tuple[str, ...],
    sort: str,
    diversify: bool,
    literal: bool,
    as_json: bool,
) -> None:
    """Search from the shell, in any language."""
    if not queries and image is None:
        raise click.UsageError("Say what to look for: a QUERY, or a picture with --image FILE.")
    if not all(text.strip() for text in (*queries, *negatives)):
        raise click.UsageError("The query is empty: say what to look for, in any language.")
    fields: dict[str, Any] = {
        **_asked(queries),
        "negative": [{"text": text} for text in negatives],
        "filters": {"collection": list(collection)},
        "limit": limit,
        "sort": sort,
        "diversify": diversify,
        "read_negation": not literal,
    }
    if image is not None:
        fields["image"] = {"base64": _read_picture(image)}
    from search.schemas import SearchRequest, parse_request

    request = parse_request(SearchRequest, fields)
    with nothing_collected():
        engine = app.open_engine(app.open_library())
    result = engine.search(request)
    if as_json:
        click.echo(json.dumps(_as_json(engine, result), ensure_ascii=False))
        return
    _tell_how_it_was_read(result)
    for hit in result.hits:
        more = f"  (+{hit.folded} like it)" if hit.folded else ""
        file = _file_of(engine, hit.image.id)
        click.echo(f"{hit.relevance:6.1%}  {hit.score:+.3f}  {file}{more}")


def _tell_how_it_was_read(result: "SearchResult") -> None:
    if result.negations:
        without = ", ".join(result.negations)
        wanted = f"{result.searched_text}, " if result.searched_text else ""
        click.echo(f"Looking for: {wanted}without {without} (--literal takes it as said)", err=True)
    for warning in result.warnings:
        click.echo(warning, err=True)
    if result.nothing_relevant and result.hits:
        click.echo("Nothing in the library matches well; the nearest are:", err=True)
    elif not result.hits:
        click.echo("Nothing in the library matches.", err=True)


def _asked(queries: tuple[str, ...]) -> dict[str, Any]:
    """One query is read as a whole; several, or weighted ones, are terms taken literally."""
    if len(queries) == 1 and WEIGHTED.fullmatch(queries[0]) is None:
        return {"query": queries[0]}
    return {"positive": [_term(query) for query in queries]}


def _term(query: str) -> dict[str, Any]:
    weighted = WEIGHTED.fullmatch(query)
    if weighted is None:
        return {"text": query}
    return {"text": weighted["text"], "weight": float(weighted["weight"])}


def _read_picture(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from error


def _file_of(engine: "SearchEngine", image_id: int) -> str:
    from storage.files import locations_of
    from storage.sources.places import shown

    locations = locations_of(engine.library.engine, image_id)
    return click.format_filename(shown(locations[0][1].absolute)) if locations else "(no file)"


def _as_json(engine: "SearchEngine", result: "SearchResult") -> dict[str, Any]:
    return {
        "hits": [
            {
                "id": hit.image.id,
                "score": round(hit.score, 6),
                "relevance": round(hit.relevance, 4),
                "file": _file_of(engine, hit.image.id),
                "path": click.format_filename(hit.image.path),
                "collection": hit.image.collection,
                "width": hit.image.width,
                "height": hit.image.height,
                "format": hit.image.format,
                "taken_at": hit.image.taken_at,
                "caption": hit.caption,
                "matched": list(hit.matched),
                "folded": hit.folded,
            }
            for hit in result.hits
        ],
        "total": result.total,
        "exact": result.exact,
        "nothing_relevant": result.nothing_relevant,
        "model": engine.space.checkpoint,
        "language": result.language,
        "negations": list(result.negations),
        "searched_text": result.searched_text,
        "warnings": result.warnings,
    }
