"""The bytes behind a picture: its file, and thumbnails of a few fixed sizes."""

from io import BytesIO
from pathlib import Path

from imaging import DecodeLimits
from search.engine import SearchEngine
from search.errors import ImageUnknown, PictureRejected
from storage.pictures import get_images
from storage.records import ImageRecord
from storage.sources.originals import Original, readable_original
from storage.thumbnails import STORED_SIDE

THUMBNAIL_SIDES = (256, STORED_SIDE, 1024, 2048)


def require_image(engine: SearchEngine, image_id: int) -> ImageRecord:
    """Raises ImageUnknown."""
    found = get_images(engine.library.engine, [image_id])
    if image_id not in found:
        raise ImageUnknown(image_id)
    return found[image_id]


def original(engine: SearchEngine, image: ImageRecord) -> Original | None:
    """A file that holds the picture; None while all of them are out of reach."""
    return readable_original(engine.library.engine, image.id)


def sendable(found: Original, image: ImageRecord) -> Path | BytesIO | None:
    """What is to be sent as the picture's file; None if it is out of reach after all, or has
    grown into something else."""
    if found.path is not None:
        return found.path
    data = found.read(image.size_bytes)
    return None if data is None else BytesIO(data)


def thumbnail(engine: SearchEngine, image: ImageRecord, side: int) -> bytes | None:
    """WebP of at most `side` pixels; made and kept on first demand.

    When the file is out of reach the stored thumbnail serves, smaller than asked; None without
    even that. Raises DecodersUnavailable.
    """
    kept = engine.library.thumbnails
    found = kept.get(image.sha256, side)
    if found is not None:
        return found
    held_by = original(engine, image)
    data = None if held_by is None else held_by.read(image.size_bytes)
    if data is not None:
        try:
            # It was within the indexer's limits when it was indexed.
            limits = DecodeLimits(max_pixels=max(image.width * image.height, 1))
            made = engine.decoder.thumbnail(data, side, limits)
        except PictureRejected:
            pass  # changed since: the stored one is what was indexed
        else:
            kept.put(image.sha256, side, made)
            return made
    return kept.get(image.sha256, STORED_SIDE)
