"""polyglance classify"""

import json
from dataclasses import asdict
from pathlib import Path

import click

from cli.app import App
from cli.errors import CommandError


@click.command("classify", epilog='polyglance classify cat.jpg --labels "mèo,chó,xe máy"')
@click.argument("image", metavar="IMAGE", type=click.Path(path_type=Path))
@click.option("--labels", metavar="A,B,…", required=True, help="Labels in any language.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(app: App, image: Path, labels: str, as_json: bool) -> None:
    """Which of the labels is the picture of?"""
    wanted = list(dict.fromkeys(label.strip() for label in labels.split(",") if label.strip()))
    if not wanted:
        raise click.UsageError('Give labels, separated by commas: --labels "mèo,chó"')
    from imaging import UnreadableImage, decode_image
    from search.classify import classify
    from storage.errors import LibraryNotFound

    try:
        data = image.read_bytes()
        space = app.open_library().active_space()
    except LibraryNotFound:
        space = None
    except OSError as error:
        raise CommandError(f"{image}: {error.strerror}.") from error
    checkpoint = space.checkpoint if space else app.config.model
    encoder = app.load_encoder(checkpoint, app.config.data_dir)
    try:
        decoded = decode_image(data, min_side=encoder.min_decode_side)
    except UnreadableImage as error:
        raise CommandError(f"{image} {error}") from error
    found = classify(encoder, decoded.image, wanted)
    if as_json:
        answer = {"labels": [asdict(each) for each in found], "model": checkpoint}
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    for each in found:
        click.echo(f"{each.probability:6.1%}  {each.score:+.3f}  {each.label}")
