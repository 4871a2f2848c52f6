"""polyglance reindex"""

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from cli.app import App
from cli.errors import CommandError

if TYPE_CHECKING:
    from indexer.reindex import ReindexReport
    from storage.library import Library
    from storage.records import SpaceRecord


@click.command(
    "reindex",
    epilog="With a new model the old embeddings serve until all are made; then --undo goes back to "
    "them, until --remove-old drops them. A server that runs goes on with the model it was "
    "started with: start it again to change over.",
)
@click.option("--model", metavar="CKPT", help="Embed all pictures anew with this model.")
@click.option("--switch-anyway", is_flag=True, help="Even if some pictures can't be read now.")
@click.option("--undo", "action", flag_value="undo", help="Go back to the model before.")
@click.option("--remove-old", "action", flag_value="old", help="Drop the models before.")
@click.option("--abandon", "action", flag_value="new", help="Drop what does not serve yet.")
@click.option("--batch-size", type=click.IntRange(1, 4096), help="Pictures per forward pass.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that read and decode.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(  # noqa: PLR0913, PLR0917  (an option each)
    app: App,
    model: str | None,
    switch_anyway: bool,
    action: str | None,
    batch_size: int | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Build the index anew; with --model, embed all pictures anew with another model."""
    if action is not None and (model is not None or switch_anyway):
        raise click.UsageError("--undo, --remove-old and --abandon go without any other option.")
    if switch_anyway and model is None:
        raise click.UsageError("--switch-anyway is about a new model: say --model as well.")
    library = app.open_library()
    active = library.active_space()
    if active is None:
        raise CommandError(
            f"The library in {library.data_dir} is empty. Index a folder first: "
            "polyglance index FOLDER"
        )
    if model is not None:
        config = app.config.index
        config = replace(config, batch_size=batch_size or config.batch_size)
        app.config = replace(app.config, index=replace(config, workers=workers or config.workers))
        return _embed_anew(app, library, model, switch_anyway=switch_anyway, as_json=as_json)
    if action is None:
        facts = _rebuild(library, active)
    elif action == "undo":
        facts = _undo(library, active)
    else:
        facts = _remove(library, old=action == "old")
    words = facts.pop("words")
    click.echo(json.dumps(facts) if as_json else words)
    return 0


def _rebuild(library: "Library", active: "SpaceRecord") -> dict[str, Any]:
    from storage.spaces import count_missing

    with library.writer("reindex", active) as writer:
        manifest = library.fold(writer, force=True)
    assert manifest is not None
    missing = count_missing(library.engine, active.id)
    words = f"Built the index of {active.checkpoint} anew: {manifest.count:,} pictures."
    if missing:
        words += (
            f" {missing:,} pictures have no embedding and are not found; `polyglance doctor` says "
            "where they are."
        )
    return {
        "model": active.checkpoint,
        "indexed": manifest.count,
        "missing": missing,
        "words": words,
    }


def _embed_anew(
    app: App, library: "Library", model: str, *, switch_anyway: bool, as_json: bool
) -> int:
    from cli.indexing import run_reindex_job
    from search.ranking.relevance import FEW_PICTURES
    from storage.pictures import count_images

    before = library.active_space()
    assert before is not None
    encoder = app.load_encoder(model, library.data_dir)
    if encoder.space.fingerprint == before.fingerprint:
        click.echo(f"The library is of the model {model} already.", err=True)
    if encoder.notice and not as_json:
        click.echo(encoder.notice, err=True)
    report = run_reindex_job(library, encoder, app.config.index, switch_anyway=switch_anyway)
    if report.switched and count_images(library.engine) > FEW_PICTURES:
        app.background_of(encoder, library.data_dir)
    _name_unread(report)
    if as_json:
        facts = {**asdict(report), "switched": report.switched, "seconds": round(report.seconds, 3)}
        facts["unread"] = [
            {**asdict(each), "path": click.format_filename(each.path)} for each in report.unread
        ]
        click.echo(json.dumps(facts))
    else:
        click.echo(_in_words(report, model, before.checkpoint))
    return {"done": 0, "incomplete": 1, "interrupted": 130}[report.status]


SHOWN = 20


def _name_unread(report: "ReindexReport") -> None:
    for each in report.unread[:SHOWN]:
        click.echo(click.format_filename(f"{each.path} {each.reason}"), err=True)
    if len(report.unread) > SHOWN:
        click.echo(f"… and {len(report.unread) - SHOWN:,} more (--json names them)", err=True)


def _in_words(report: "ReindexReport", model: str, before: str) -> str:
    made = f"{report.embedded:,} pictures embedded with {model} in {report.seconds:.1f} s."
    if report.status == "interrupted":
        return (
            f"{made} Interrupted; run the same command again to go on. {before} serves meanwhile."
        )
    if report.status == "incomplete":
        return (
            f"{made} {report.missing:,} pictures that can be found now could not be embedded, and "
            f"would be found no more: {before} goes on serving. Bring them back within reach and "
            "run the same command again (only they are read), or say --switch-anyway."
        )
    lost = f" {report.missing:,} pictures are not found until they are indexed again."
    return (
        f"{made} The library is of the model {model} now.{lost if report.missing else ''} "
        "A server that runs must be started again. `polyglance reindex --undo` goes back to "
        f"{before}; `polyglance reindex --remove-old` drops what was made with it."
    )


def _undo(library: "Library", active: "SpaceRecord") -> dict[str, Any]:
    from storage.lock import writer_lock
    from storage.spaces import count_missing, reactivate_previous

    with writer_lock(library.data_dir, "reindex --undo"):
        serving = reactivate_previous(library.engine)
    if serving is None:
        raise CommandError(
            "There is nothing to go back to: the library has embeddings of one model only, "
            f"{active.checkpoint}."
        )
    missing = count_missing(library.engine, serving.id)
    words = (
        f"The library is of the model {serving.checkpoint} again. A server that runs must be "
        f"started again. What {active.checkpoint} made is kept: `polyglance reindex --model "
        f"{active.checkpoint}` switches over once more, and --abandon drops it."
    )
    if missing:
        words += (
            f" {missing:,} pictures were indexed since and have no embedding of this model: "
            "`polyglance doctor` says which folders to index."
        )
    return {"model": serving.checkpoint, "missing": missing, "words": words}


def _remove(library: "Library", *, old: bool) -> dict[str, Any]:
    from storage.lock import writer_lock
    from storage.spaces import activated_spaces, spaces_in_the_making

    before = library.size_bytes()
    with writer_lock(library.data_dir, f"reindex --{'remove-old' if old else 'abandon'}"):
        engine = library.engine
        gone = activated_spaces(engine)[1:] if old else spaces_in_the_making(engine)
        for space in gone:
            library.remove_space(space)
    names = [space.checkpoint for space in gone]
    freed = max(0, before - library.size_bytes())
    if not gone:
        words = "There was nothing to remove."
    else:
        words = f"Removed the embeddings of {', '.join(names)}: {freed / 1e6:,.1f} MB."
    return {"removed": names, "freed_bytes": freed, "words": words}
