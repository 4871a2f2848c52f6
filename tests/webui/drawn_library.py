"""A library of pictures drawn here, written by the storage's own writer."""

import hashlib
from datetime import datetime
from pathlib import Path

from color_encoder import COLORS, ColorEncoder
from PIL import Image, ImageDraw

from imaging import dominant_color, make_thumbnail
from storage.files import register_root
from storage.jobs import finish_job, start_job
from storage.library import Library
from storage.records import Batch, FailedFile, FileStat, IndexedFile, NewImage
from storage.thumbnails import STORED_SIDE

SHAPES = ((640, 480), (480, 640), (500, 500), (900, 400))
"""Of the pictures of each colour."""
COPIES = 6
"""Rounds over the shapes; each puts a larger grey square in the middle."""


def draw(color: str, size: tuple[int, int], grey_share: float) -> Image.Image:
    """A colour with a grey square in its middle that takes `grey_share` of the shorter side.

    On grey the square is white.
    """
    image = Image.new("RGB", size, COLORS[color])
    half = min(size) * grey_share / 2
    x, y = size[0] / 2, size[1] / 2
    box = (x - half, y - half, x + half, y + half)
    ImageDraw.Draw(image).rectangle(box, fill=COLORS["white" if color == "grey" else "grey"])
    return image


def make_library(folder: Path) -> Library:
    """Eight colours × four shapes × six: 192 pictures, and two files that can't be read."""
    photos = folder / "photos"
    encoder = ColorEncoder()
    library = Library.open(folder / "data", create=True)
    root = register_root(library.engine, photos, "drawn")
    job = start_job(library.engine, "index", encoder.space.checkpoint, [str(photos)])
    batch = Batch()
    for color in COLORS:
        for number in range(COPIES * len(SHAPES)):
            size = SHAPES[number % len(SHAPES)]
            path = f"{color}/{color} {number:02d}.{'png' if number % 2 else 'jpg'}"
            image = draw(color, size, 0.05 + 0.9 * number / (COPIES * len(SHAPES)))
            (photos / color).mkdir(parents=True, exist_ok=True)
            image.save(photos / path)
            _add(batch, library, (photos, root.id, root.collection_id), path, image)
    for path, reason in (
        ("broken/cut.jpg", "is cut off: only part of the JPEG is there"),
        ("broken/notes.png", "is not a picture: it begins like plain text"),
    ):
        stat = FileStat(root.id, path, 10, 0)
        batch.failures.append(FailedFile(stat, "corrupt", reason, content_is_bad=True))
    with library.writer("tests", encoder.space) as writer:
        counts = {"seen": 194.0, "embedded": 192.0, "failed": 2.0}
        writer.commit(batch, job, counts)
        finish_job(library.engine, job, "done", counts)
    return library


def _add(
    batch: Batch, library: Library, place: tuple[Path, int, int], path: str, image: Image.Image
) -> None:
    """place: the root's folder, its id, and that of its collection."""
    folder, root_id, collection_id = place
    data = (folder / path).read_bytes()
    sha256 = hashlib.sha256(data).digest()
    first = path.endswith(" 00.jpg")
    batch.images[sha256] = NewImage(
        sha256=sha256,
        width=image.width,
        height=image.height,
        format="png" if path.endswith("png") else "jpeg",
        size_bytes=len(data),
        dominant_color=dominant_color(image),
        taken_at=datetime(2024, 5, 17, 14, 30) if first else None,  # noqa: DTZ001 EXIF has no zone
        camera="Lumière No. 1" if first else None,
        latitude=21.0285 if first else None,
        longitude=105.8542 if first else None,
    )
    batch.embeddings[sha256] = ColorEncoder().encode_images([image])[0]
    stat = FileStat(root_id, path, len(data), (folder / path).stat().st_mtime_ns)
    batch.files.append(IndexedFile(stat, collection_id, sha256))
    library.thumbnails.put(sha256, STORED_SIDE, make_thumbnail(image, STORED_SIDE))
