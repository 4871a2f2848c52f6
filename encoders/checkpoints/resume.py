"""Weights in pieces: a download that was cut, or killed, goes on where it stopped.

huggingface_hub's own download starts over after its process ends, which a slow connection may
never get through. Here the part stays beside the hub's blobs; once whole and verified, it takes
its blob's name, and huggingface_hub finds it there.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from encoders.checkpoints.digest import file_sha256
from encoders.checkpoints.failures import disk_is_full
from encoders.errors import CheckpointUnavailable

TRIES_WITHOUT_PROGRESS = 3
PAUSE_S = 1.0
READ_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class WeightFile:
    """One large file of a checkpoint at one commit of the hub."""

    checkpoint: str
    commit: str
    name: str
    size_bytes: int
    sha256: str


def fetch_blob(weights: WeightFile, repository: Path) -> Path:
    """Have the blob in the repository's folder of the hub's cache, named by its SHA-256."""
    from filelock import FileLock

    blobs = repository / "blobs"
    blob = blobs / weights.sha256
    part = blobs / f"{weights.sha256}.part"
    # The lock that huggingface_hub takes for this file, so that two programs don't both fetch it.
    locks = repository.parent / ".locks" / repository.name
    for folder in (blobs, locks):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{weights.sha256}.lock"):
        if blob.exists():
            return blob
        missing_bytes = weights.size_bytes - _size(part)
        if missing_bytes > shutil.disk_usage(blobs).free:
            raise disk_is_full(weights.checkpoint, blobs, missing_bytes)
        _complete(weights, part)
        if file_sha256(part) != weights.sha256:
            part.unlink()
            raise CheckpointUnavailable(
                f"{weights.name} of {weights.checkpoint} arrived damaged and was thrown away. "
                "Try again; if it happens twice, the mirror or a proxy alters files."
            )
        part.replace(blob)
    return blob


def _complete(weights: WeightFile, part: Path) -> None:
    """Fetch what `part` lacks; a connection that breaks is taken up again while bytes arrive."""
    from huggingface_hub.utils import httpx
    from tqdm import tqdm

    tries = 0
    with tqdm(
        desc=f"{weights.checkpoint} {weights.name}",
        total=weights.size_bytes,
        unit="B",
        unit_scale=True,
        disable=None,  # shown on a terminal only
    ) as progress:
        while (start := _size(part)) < weights.size_bytes:
            progress.n = start
            try:
                _append(weights, part, start, progress.update)
                failure: Exception | None = None
            except httpx.TransportError as error:
                failure = error
            tries = 0 if _size(part) > start else tries + 1
            if tries >= TRIES_WITHOUT_PROGRESS:
                if failure is not None:
                    raise failure
                raise CheckpointUnavailable(
                    f"The hub sends no more of {weights.name} of {weights.checkpoint} after "
                    f"{start} of {weights.size_bytes} bytes. Try again later."
                )
            if failure is not None:
                time.sleep(PAUSE_S)


def _append(weights: WeightFile, part: Path, start: int, arrived: Callable[[int], object]) -> None:
    """One request: from byte `start` to the end, or as far as it comes."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = hf_hub_url(weights.checkpoint, weights.name, revision=weights.commit)
    headers = {**build_hf_headers(), "Range": f"bytes={start}-", "Accept-Encoding": "identity"}
    with get_session().stream("GET", url, headers=headers, timeout=READ_TIMEOUT_S) as response:
        hf_raise_for_status(response)
        resumed = response.status_code == 206
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                arrived(len(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
