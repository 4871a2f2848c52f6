"""What is asked of a job, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Counts:
    """What a job has met so far. seen = new + changed + moved + unchanged + failed."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    """Files that the catalog knows and the disk no longer has."""
    failed: int = 0
    embedded: int = 0


@dataclass(frozen=True)
class JobReport:
    job: int
    status: str
    """done or interrupted."""
    counts: Counts
    seconds: float
    pruned: bool
    kept_back: tuple[Path, ...] = ()
    """Roots that are empty or gone: what is missing there was not forgotten, though asked for."""
    encoder_seconds: float = 0.0
    """How long the encoder was at work; all the rest is waiting for it to be fed."""

    @property
    def images_per_second(self) -> float:
        return self.counts.embedded / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class IndexRequest:
    sources: Sequence[str]
    collection: str | None = None
    retry_failed: bool = False
    prune: bool = False
    listed: Sequence[str] | None = None
    """Names from a list, besides the sources; None without a list."""
