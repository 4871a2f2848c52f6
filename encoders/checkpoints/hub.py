"""Checkpoints from the hub or a mirror of it (HF_ENDPOINT), through huggingface_hub's cache.

What is in the cache is used without asking the hub: a start needs no network, and the weights
behind an index don't change under it. Settings come first, so that a checkpoint that can't be
used is refused before gigabytes of weights are fetched.
"""

from collections.abc import Sequence
from pathlib import Path

from encoders.checkpoints.failures import explained
from encoders.checkpoints.files import SETTINGS_FILES, check_config, check_files, weight_names
from encoders.checkpoints.patience import patience
from encoders.checkpoints.resume import WeightFile, fetch_blob
from encoders.errors import UnsupportedCheckpoint

HUB_TIMEOUT_S = 8.0
"""How long the hub may be silent."""


def locate_on_hub(checkpoint: str, revision: str | None) -> Path:
    """The snapshot's folder, named by its commit, with every file that the encoder needs."""
    with explained(checkpoint, revision):
        cached = _cached(checkpoint, revision)
        if cached is not None:
            return cached
        with patience(checkpoint, HUB_TIMEOUT_S):
            return _download(checkpoint, revision)


def _cached(checkpoint: str, revision: str | None) -> Path | None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _snapshot(checkpoint, revision, SETTINGS_FILES, local_files_only=True)
        check_files(folder, checkpoint)
    except (LocalEntryNotFoundError, UnsupportedCheckpoint):
        # Not there, or half there: the hub can say what is missing.
        return None
    return folder


def _download(checkpoint: str, revision: str | None) -> Path:
    from huggingface_hub import HfApi

    # Asked once, where all others are asked again: so it comes first.
    info = HfApi().model_info(checkpoint, revision=revision, files_metadata=True)
    commit = str(info.sha)
    files = {file.rfilename: file for file in info.siblings or []}
    folder = _snapshot(checkpoint, commit, SETTINGS_FILES)
    check_config(folder, checkpoint, files)
    names = weight_names(folder, checkpoint, files)
    blobs = []
    for name in names:
        file = files.get(name)
        if file is None:
            raise UnsupportedCheckpoint(f"{checkpoint} lacks {name} on the hub. Choose another.")
        if file.lfs is not None and not (folder / name).exists():
            weights = WeightFile(checkpoint, commit, name, file.lfs.size, file.lfs.sha256)
            blobs.append(fetch_blob(weights, folder.parent.parent))
    # By its name now, which the cache remembers only once all is there.
    complete = _snapshot(checkpoint, revision, [*SETTINGS_FILES, *names])
    if not (complete / names[0]).is_symlink():
        # A system without links got copies.
        for blob in blobs:
            blob.unlink(missing_ok=True)
    return complete


def _snapshot(
    checkpoint: str, revision: str | None, names: Sequence[str], *, local_files_only: bool = False
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    # Weights show their own; the rest is small.
    disable_progress_bars()
    return Path(
        snapshot_download(
            checkpoint,
            revision=revision,
            allow_patterns=list(names),
            local_files_only=local_files_only,
        )
    )
