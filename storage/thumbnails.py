"""Thumbnails on disk: derived, named by the picture's content, one folder level deep by hash."""

from pathlib import Path

from storage.atomic import sweep_temporaries, write_atomic

STORED_SIDE = 512
"""Pixels of the longer side of the thumbnail that the indexer makes; others on demand."""


class Thumbnails:
    """WebP bytes by (sha256, longest side in pixels)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"

    def sweep(self) -> None:
        """Remove what killed processes left half-written; a server may be writing right now."""
        sweep_temporaries(self._incoming, older_than_s=3600)

    def path(self, sha256: bytes, side: int) -> Path:
        digest = sha256.hex()
        return self._folder / str(side) / digest[:2] / f"{digest}.webp"

    def has(self, sha256: bytes, side: int) -> bool:
        """A power cut can leave a file without bytes: that is none."""
        try:
            return self.path(sha256, side).stat().st_size > 0
        except FileNotFoundError:
            return False

    def put(self, sha256: bytes, side: int, webp: bytes) -> None:
        path = self.path(sha256, side)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(exist_ok=True)
        write_atomic(path, lambda to: to.write_bytes(webp), durable=False, beside=self._incoming)

    def get(self, sha256: bytes, side: int) -> bytes | None:
        try:
            return self.path(sha256, side).read_bytes() or None
        except FileNotFoundError:
            return None
