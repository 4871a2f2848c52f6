"""A checkpoint's name → a folder with all its files."""

from dataclasses import dataclass
from pathlib import Path

from encoders.errors import CheckpointNotFound


@dataclass(frozen=True)
class LocatedCheckpoint:
    """A checkpoint's files on this computer; revision is the hub's commit, None for a folder."""

    checkpoint: str
    folder: Path
    revision: str | None


def locate_checkpoint(checkpoint: str, revision: str | None = None) -> LocatedCheckpoint:
    """A local folder as it is; anything else from the hub's cache, or downloaded into it."""
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return LocatedCheckpoint(checkpoint, folder.resolve(), None)
    if _is_path(checkpoint):
        raise CheckpointNotFound(
            f"There is no folder {folder}. Give a folder with a checkpoint in it, "
            "a name from the hub such as google/siglip2-base-patch16-224, or starter."
        )
    from encoders.checkpoints.hub import locate_on_hub

    folder = locate_on_hub(checkpoint, revision)
    return LocatedCheckpoint(checkpoint, folder, folder.name)


def _is_path(checkpoint: str) -> bool:
    """The hub knows `name` and `owner/name`; what looks otherwise is meant as a folder."""
    folder = Path(checkpoint)
    return checkpoint.startswith((".", "~")) or folder.is_absolute() or len(folder.parts) > 2
