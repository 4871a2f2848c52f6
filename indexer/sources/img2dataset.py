"""What img2dataset says of a folder that it has downloaded: pictures it could not get.

Beside each shard ("00012.tar", or the folder "00012") it leaves "00012_stats.json". The pictures
and their captions are found as in any folder or tar; those that it could not get are in none.
"""

import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STATS = re.compile(r"\d+_stats\.json")
MOST_BYTES = 1_000_000
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DownloadStatus:
    """Over all shards of a folder."""

    asked_for: int
    downloaded: int
    not_downloaded: int
    not_resized: int

    def __str__(self) -> str:
        return (
            f"img2dataset was asked for {self.asked_for:,} pictures and has got "
            f"{self.downloaded:,}: {self.not_downloaded:,} could not be downloaded, "
            f"{self.not_resized:,} not be decoded or resized."
        )


def download_status(folder: Path) -> DownloadStatus | None:
    """None where img2dataset has left no statistics."""
    found = list(_stats(folder)) if folder.is_dir() else []
    if not found:
        return None
    return DownloadStatus(
        *(
            sum(each[key] for each in found)
            for key in ("count", "successes", "failed_to_download", "failed_to_resize")
        )
    )


def _stats(folder: Path) -> Iterable[dict[str, int]]:
    try:
        paths = sorted(path for path in folder.iterdir() if STATS.fullmatch(path.name))
    except OSError as error:
        log.warning("%s: %s", folder, error)
        return
    for path in paths:
        try:
            with path.open("rb") as file:
                stats = json.loads(file.read(MOST_BYTES))
            keys = ("count", "successes", "failed_to_download", "failed_to_resize")
            yield {key: int(stats[key]) for key in keys}
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            log.warning("%s is not what img2dataset writes: %r", path, error)
