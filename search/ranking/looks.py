"""How pictures look, by their thumbnails: what confirms that two are near duplicates."""

from imaging.perceptual import Look, look_of
from storage.duplicates import Looks
from storage.library import Library
from storage.thumbnails import STORED_SIDE


def looks_of(library: Library) -> Looks:
    def look(sha256: bytes) -> Look | None:
        webp = library.thumbnails.get(sha256, STORED_SIDE)
        return None if webp is None else look_of(webp)

    return look
