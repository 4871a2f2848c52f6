"""Thumbnails on disk: derived, named by the picture's content, one folder level deep by hash."""

from pathlib import Path

from storage.atomic import write_atomic

STORED_SIDE = 512
"""Pixels of the longer side of the thumbnail that the indexer makes; others on demand."""


class Thumbnails:
    """WebP bytes by (sha256, longest side in pixels)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: bytes, side: int) -> Path:
        digest = sha256.hex()
        return self._folder / str(side) / digest[:2] / f"{digest}.webp"

    def has(self, sha256: bytes, side: int) -> bool:
        return self.path(sha256, side).is_file()

    def put(self, sha256: bytes, side: int, webp: bytes) -> None:
        path = self.path(sha256, side)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda to: to.write_bytes(webp), durable=False)

    def get(self, sha256: bytes, side: int) -> bytes | None:
        try:
            return self.path(sha256, side).read_bytes()
        except FileNotFoundError:
            return None
