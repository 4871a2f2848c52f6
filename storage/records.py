"""What goes into the catalog and what comes out of it, as plain values."""

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SpaceFacts(Protocol):
    """What the storage must know of an encoder's embedding space."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def checkpoint(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def dim(self) -> int: ...


@dataclass(frozen=True)
class SpaceRecord:
    id: int
    fingerprint: str
    checkpoint: str
    revision: str | None
    dim: int


@dataclass(frozen=True)
class RootRecord:
    id: int
    path: Path
    collection_id: int
    collection: str


@dataclass(frozen=True)
class PictureText:
    """Words that came with a picture: in its file, or in a sidecar beside it."""

    kind: str
    """title, description, keyword or caption."""
    text: str
    source: str
    """exif, iptc, xmp, sidecar or import."""
    language: str | None = None
    """A BCP 47 tag, where it is known."""


@dataclass(frozen=True)
class NewImage:
    """A picture that the catalog may not know yet; width and height are of the upright one."""

    sha256: bytes
    width: int
    height: int
    format: str
    size_bytes: int
    dominant_color: str
    taken_at: datetime | date | None = None
    """A date alone is not the camera's: it is that of the file, and says so by being no more."""
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    perceptual_hash: int | None = None
    """64 bits, as a signed number."""
    texts: tuple[PictureText, ...] = ()
    """Words that the picture's own file holds."""


@dataclass(frozen=True)
class FileStat:
    """A file as it was when it was read; `path` is relative to the root, with forward slashes."""

    root_id: int
    path: str
    size_bytes: int
    mtime_ns: int
    sidecar_mtime_ns: int | None = None
    """The latest of its sidecars' times; None without any."""

    def __post_init__(self) -> None:
        # Some file systems hold times of thousands of years ahead; no database does.
        object.__setattr__(self, "mtime_ns", _as_int64(self.mtime_ns))
        if self.sidecar_mtime_ns is not None:
            object.__setattr__(self, "sidecar_mtime_ns", _as_int64(self.sidecar_mtime_ns))


def _as_int64(number: int) -> int:
    return max(-(2**63), min(number, 2**63 - 1))


@dataclass(frozen=True)
class IndexedFile:
    """A file that holds the image `sha256`."""

    stat: FileStat
    collection_id: int
    sha256: bytes
    moved_from: int | None = None
    """The location this file was known as, when it was moved or renamed."""
    texts: tuple[PictureText, ...] = ()
    """Words that stand beside the file, in sidecars."""


@dataclass(frozen=True)
class FailedFile:
    stat: FileStat
    kind: str
    reason: str
    content_is_bad: bool
    """It was read, and holds no picture: whatever image it held before, it holds no more.
    False when it was merely out of reach, which says nothing about what it holds."""


@dataclass
class Batch:
    """What one commit makes durable: all of it, or nothing."""

    images: dict[bytes, NewImage] = field(default_factory=dict)
    embeddings: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)
    """(dim,) by sha256; the image is in `images` or in the catalog already."""
    files: list[IndexedFile] = field(default_factory=list)
    failures: list[FailedFile] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.files or self.failures or self.embeddings)


@dataclass(frozen=True)
class KnownFile:
    """A row of the catalog as the scan sees it: an indexed file, or one that failed."""

    path: str
    size_bytes: int
    mtime_ns: int
    location_id: int | None
    """None for a failure."""
    image_id: int | None
    collection_id: int | None
    embedded: bool
    """The image has an embedding in the space asked about."""
    failure_kind: str | None
    """Why it could not be indexed; None for a location."""
    sidecar_mtime_ns: int | None = None
    """The latest of its sidecars' times when it was indexed; None without any."""


@dataclass(frozen=True)
class ImageRecord:
    """An image and the file it is shown by."""

    id: int
    sha256: bytes
    width: int
    height: int
    format: str
    size_bytes: int
    taken_at: str | None
    camera: str | None
    lens: str | None
    latitude: float | None
    longitude: float | None
    dominant_color: str
    added_at: datetime
    path: str
    collection: str


@dataclass(frozen=True)
class LocationRecord:
    root: Path
    path: str
    collection: str

    @property
    def absolute(self) -> Path:
        return self.root / self.path


@dataclass(frozen=True)
class FailureRecord:
    path: str
    kind: str
    reason: str
    failed_at: datetime


@dataclass(frozen=True)
class JobRecord:
    id: int
    kind: str
    status: str
    checkpoint: str
    sources: list[str]
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    counts: dict[str, float]
    error: str | None


@dataclass(frozen=True)
class PictureFilter:
    """Which pictures count. Every field that is set must hold; an empty tuple is "not set"."""

    collections: tuple[str, ...] = ()
    path_glob: str | None = None
    taken_after: str | None = None
    """ISO 8601 date or wall-clock time, inclusive."""
    taken_before: str | None = None
    """Exclusive for a time; a bare date includes that day."""
    camera: str | None = None
    orientation: str | None = None
    """landscape, portrait or square."""
    min_width: int | None = None
    min_height: int | None = None
    formats: tuple[str, ...] = ()
    near: tuple[float, float, float] | None = None
    """Latitude, longitude (degrees) and radius (km)."""

    @property
    def is_empty(self) -> bool:
        return self == PictureFilter()
