"""What a job and its decode workers say to each other."""

from dataclasses import dataclass
from pathlib import Path

from encoders import Preprocessed, Preprocessor
from imaging import DecodeLimits
from storage.records import FileStat, NewImage, PictureText
from storage.thumbnails import Thumbnails


@dataclass(frozen=True)
class DecodeSetup:
    """How one job's pictures are decoded."""

    limits: DecodeLimits
    preprocessor: Preprocessor
    thumbnails: Thumbnails
    seconds: float
    """How long one file may take."""


@dataclass(frozen=True)
class FileToRead:
    root: Path
    stat: FileStat


@dataclass(frozen=True)
class FileRead:
    """The worker holds the file's bytes until it hears whether they are wanted decoded."""

    stat: FileStat
    """As the file was when it was read."""
    sha256: bytes
    texts: tuple[PictureText, ...]
    """Words that stand beside the file."""


@dataclass(frozen=True)
class PictureDecoded:
    image: NewImage
    pixels: Preprocessed


@dataclass(frozen=True)
class Unreadable:
    """Why there is no picture; see FailedFile."""

    kind: str
    reason: str
    content_is_bad: bool


@dataclass(frozen=True)
class LibraryFault:
    """The library, not the picture, is in trouble: the job can't go on."""

    error: OSError
