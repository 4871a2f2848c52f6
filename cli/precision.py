"""8-bit arithmetic: tried once for a space on the library's own pictures, then used at each start.

The calibration lies beside the library (`golden/<space>-int8.npz`), also where it says that the
encoder had better stay with float32.
"""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
from PIL import Image

from search.ranking.background import background_texts
from storage.atomic import write_atomic
from storage.pictures import list_images
from storage.thumbnails import STORED_SIDE

if TYPE_CHECKING:
    from encoders import Encoder
    from encoders.siglip import DualEncoder
    from encoders.siglip.int8 import Calibration
    from storage.library import Library

PICTURES, FEWEST_PICTURES, TEXTS = 64, 48, 64


def use_calibration(encoder: "Encoder", home: Path) -> bool:
    """Have the encoder compute in 8 bits if it was found to find the same pictures.

    False where nothing is known yet, and trying would be worth it.
    """
    dual = _that_could_run_int8(encoder)
    if dual is None:
        return True
    from encoders.siglip.int8 import Calibration

    calibration = Calibration.load(_path(dual, home))
    if calibration is None:
        return False
    dual.run_int8(calibration)
    if dual.dtype_asked == "int8" and dual.precision != "int8":
        click.echo(_found(dual, calibration), err=True)
    return True


def calibrate(encoder: "Encoder", library: "Library") -> bool:
    """Try 8-bit arithmetic on the library's first pictures, once; use it if it holds.

    Half a minute on two cores. False while the library has too few pictures to try it on.
    """
    if use_calibration(encoder, library.data_dir):
        return True
    dual = _that_could_run_int8(encoder)
    assert dual is not None
    pictures = _first_pictures(library)
    if len(pictures) < FEWEST_PICTURES:
        return False
    click.echo("Trying 8-bit arithmetic on your pictures (once for a model) …", err=True)
    texts = background_texts()
    calibration = dual.calibrate_int8(
        [dual.preprocess(picture) for picture in pictures], texts[:: len(texts) // TEXTS]
    )

    def save(to: Path) -> None:
        with to.open("wb") as file:
            calibration.save(file)

    path = _path(dual, library.data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save)
    dual.run_int8(calibration)
    click.echo(_found(dual, calibration), err=True)
    return True


def runs_int8(encoder: "Encoder") -> bool:
    return "int8" in str(getattr(encoder, "precision", ""))


def _that_could_run_int8(encoder: "Encoder") -> "DualEncoder | None":
    if encoder.space.checkpoint == "starter":
        return None
    from encoders.siglip import DualEncoder

    return encoder if isinstance(encoder, DualEncoder) and encoder.could_run_int8 else None


def _path(encoder: "DualEncoder", home: Path) -> Path:
    return home / "golden" / f"{encoder.space.fingerprint[:16]}-int8.npz"


def _first_pictures(library: "Library") -> list[Image.Image]:
    """As the indexer made them small: large enough for the range of what flows through a model.

    None where there are too few yet, which is asked after every commit.
    """
    images = list_images(library.engine, limit=2 * PICTURES)
    if len(images) < FEWEST_PICTURES:
        return []
    pictures: list[Image.Image] = []
    for image in images:
        webp = library.thumbnails.get(image.sha256, STORED_SIDE)
        if webp is not None and len(pictures) < PICTURES:
            pictures.append(Image.open(BytesIO(webp)).convert("RGB"))
    return pictures


def _found(encoder: "DualEncoder", calibration: "Calibration") -> str:
    return f"The model runs in {encoder.precision}. 8 bits, against float32: {calibration}."
