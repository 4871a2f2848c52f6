"""polyglance eval"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from cli.app import App
from cli.errors import CommandError

if TYPE_CHECKING:
    from search.evaluation.captioned import Captioned
    from search.evaluation.recall import LanguageRecall

CUTS = (1, 5, 10)
NAMED = 3


@click.command(
    "eval",
    epilog="""CAPTIONS is a .tsv, .csv or .jsonl file with the columns path, caption and language
(which is guessed where it is not said). A path may be the end of one: "2024/a.jpg", "a.jpg",
"a".""",
)
@click.argument("captions", metavar="CAPTIONS", type=click.Path(path_type=Path))
@click.option("--collection", metavar="NAME", help="Look among this collection's pictures only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(app: App, captions: Path, collection: str | None, as_json: bool) -> None:
    """How often a picture is found by what somebody wrote of it, language by language.

    Recall@k is the share of captions of which the picture is among the first k hits.
    """
    from search.evaluation.captioned import find_captioned
    from search.evaluation.captions import read_captions
    from search.evaluation.recall import recall_by_language
    from storage.pictures import filter_ids
    from storage.records import PictureFilter
    from storage.upkeep.housekeeping import require_collection

    written = read_captions(captions)
    library = app.open_library()
    allowed = None
    if collection is not None:
        require_collection(library.engine, collection)
        allowed = filter_ids(library.engine, PictureFilter(collections=(collection,)))
    captioned = find_captioned(library.engine, (caption.picture for caption in written))
    engine = app.open_engine(library)
    snapshot = engine.snapshot()
    there = set(snapshot.image_ids.tolist())
    if allowed is not None:
        there &= set(allowed.tolist())
    known = [
        (caption, captioned.image_ids[caption.picture])
        for caption in written
        if captioned.image_ids.get(caption.picture) in there
    ]
    if not known:
        raise CommandError(
            f"No picture that {click.format_filename(captions)} names is in this library; the "
            f"first is {written[0].picture!r}. Index the pictures first: polyglance index FOLDER"
        )
    with tqdm(total=len(known), unit="caption", disable=None, leave=False) as bar:
        recalls = recall_by_language(
            engine.encoder, snapshot, known, cuts=CUTS, allowed=allowed, progress=bar.update
        )
    if as_json:
        click.echo(json.dumps(_as_json(engine.space.checkpoint, recalls, captioned, len(there))))
        return
    _print_table(recalls, len(there))
    left_out = len(written) - len(known)
    if left_out:
        click.echo(_why_left_out(left_out, captioned), err=True)


def _print_table(recalls: "Mapping[str, LanguageRecall]", pictures: int) -> None:
    click.echo("language  captions" + "".join(f"  recall@{k:<3}" for k in CUTS))
    for language, found in recalls.items():
        _print_row(language, f"{found.captions:,}", found.recall)
    if len(recalls) > 1:
        _print_row("mean", "", _mean(recalls))
    _print_row("by chance", "", {k: min(1.0, k / pictures) for k in CUTS})
    click.echo(f"Found among {pictures:,} pictures, by what they show alone.")


def _print_row(name: str, captions: str, recall: Mapping[int, float]) -> None:
    click.echo(f"{name:<9} {captions:>8}" + "".join(f"  {recall[k]:>10.1%}" for k in CUTS))


def _mean(recalls: "Mapping[str, LanguageRecall]") -> dict[int, float]:
    """Over the languages, each counting alike."""
    return {k: sum(found.recall[k] for found in recalls.values()) / len(recalls) for k in CUTS}


def _why_left_out(count: int, captioned: "Captioned") -> str:
    reasons = []
    for names, what in (
        (captioned.missing, "not in the library"),
        (captioned.ambiguous, "names of several different pictures"),
    ):
        if names:
            some = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
            reasons.append(f"{len(names):,} {what}: {some}")
    why = "; ".join(reasons) or "their pictures are in another collection or not embedded yet"
    return f"Captions left out: {count:,} ({why})."


def _as_json(
    checkpoint: str, recalls: "Mapping[str, LanguageRecall]", captioned: "Captioned", pictures: int
) -> dict[str, object]:
    def keyed(recall: Mapping[int, float]) -> dict[str, float]:
        return {f"recall@{k}": round(value, 4) for k, value in recall.items()}

    return {
        "model": checkpoint,
        "pictures": pictures,
        "languages": {
            language: {"captions": found.captions, **keyed(found.recall)}
            for language, found in recalls.items()
        },
        "mean": keyed(_mean(recalls)),
        "missing": list(captioned.missing),
        "ambiguous": list(captioned.ambiguous),
    }
