"""How the indexer works."""

import os
from dataclasses import dataclass, field

from imaging import DecodeLimits

DEFAULT_EXCLUDES = (".*", "@eaDir", "node_modules", "System Volume Information")


def usable_cores() -> int:
    """Cores this process may run on, which in a container is fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class IndexConfig:
    batch_size: int = 16
    """Pictures that the encoder is given at once, two such batches or more ahead of the commit. On
    a CPU each core takes a few of them at a time."""
    workers: int = field(default_factory=usable_cores)
    """Processes that read and decode."""
    decode_seconds: float = 60.0
    """How long one file may take to be read and decoded, before it counts as failed."""
    exclude: tuple[str, ...] = DEFAULT_EXCLUDES
    """Names of files and folders that are passed over, as shell patterns."""
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    commit_images: int = 256
    commit_seconds: float = 10.0
    """A commit is made after so many pictures or so long, whichever comes first: what a power cut
    can cost."""
