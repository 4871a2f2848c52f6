"""One file → what the commit needs of it. Runs in worker threads."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from encoders import Encoder, Preprocessed
from imaging import (
    DecodeLimits,
    UnreadableImage,
    decode_image,
    dominant_color,
    make_thumbnail,
)
from storage.pictures import find_image
from storage.records import FailedFile, FileStat, NewImage
from storage.thumbnails import STORED_SIDE, Thumbnails

TRANSIENT_KINDS = frozenset({"out_of_reach", "changed_while_read"})
"""Failures that say nothing about the file's content: tried again in every job."""


@dataclass(frozen=True)
class ReadPicture:
    """A file that was read. `pixels` is None when its embedding is in the library already."""

    stat: FileStat
    sha256: bytes
    image_id: int | None
    """The image's id, if the catalog knew it when the file was read."""
    image: NewImage | None
    pixels: Preprocessed | None


@dataclass(frozen=True)
class PictureReader:
    """Reads, hashes, decodes and preprocesses files, and keeps their thumbnails."""

    engine: Engine
    space_id: int
    encoder: Encoder
    thumbnails: Thumbnails
    limits: DecodeLimits

    def read(self, path: Path, stat: FileStat) -> ReadPicture | FailedFile:
        """Never raises for what is in the file, nor for a file that can't be reached."""
        try:
            data, stat = _read_whole(path, stat, self.limits.max_bytes)
        except OSError as error:
            reason = f"can't be read: {error.strerror or error}"
            return FailedFile(stat, "out_of_reach", reason, content_is_bad=False)
        except UnreadableImage as error:
            return FailedFile(stat, error.kind, str(error), content_is_bad=True)
        except _ChangedWhileRead:
            reason = "was changing while it was read; it will be read again next time"
            return FailedFile(stat, "changed_while_read", reason, content_is_bad=False)
        return self._decode(data, stat)

    def _decode(self, data: bytes, stat: FileStat) -> ReadPicture | FailedFile:
        sha256 = hashlib.sha256(data).digest()
        known = find_image(self.engine, sha256, self.space_id)
        if known is not None and known[1]:
            return ReadPicture(stat, sha256, known[0], None, None)
        try:
            decoded = decode_image(data, min_side=self.encoder.min_decode_side, limits=self.limits)
        except UnreadableImage as error:
            return FailedFile(stat, error.kind, str(error), content_is_bad=True)
        if not self.thumbnails.has(sha256, STORED_SIDE):
            webp = make_thumbnail(decoded.image, STORED_SIDE)
            self.thumbnails.put(sha256, STORED_SIDE, webp)
        facts = decoded.facts
        image = NewImage(
            sha256=sha256,
            width=decoded.width,
            height=decoded.height,
            format=decoded.format,
            size_bytes=len(data),
            dominant_color=dominant_color(decoded.image),
            taken_at=facts.taken_at,
            camera=facts.camera,
            lens=facts.lens,
            latitude=facts.latitude,
            longitude=facts.longitude,
        )
        pixels = self.encoder.preprocess(decoded.image)
        return ReadPicture(stat, sha256, known[0] if known else None, image, pixels)


class _ChangedWhileRead(Exception):
    """The file was not the same after reading as before."""


def _read_whole(path: Path, stat: FileStat, max_bytes: int) -> tuple[bytes, FileStat]:
    """The file's bytes, and its size and time as they were at that moment."""
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        if before.st_size > max_bytes:
            raise UnreadableImage(
                "too_large",
                f"has {before.st_size:,} bytes, more than the limit of {max_bytes:,} "
                "(raise max_bytes)",
            )
        data = file.read(before.st_size + 1)
        after = os.fstat(file.fileno())
    now = (after.st_size, after.st_mtime_ns)
    if now != (before.st_size, before.st_mtime_ns) or len(data) != before.st_size:
        raise _ChangedWhileRead
    return data, FileStat(stat.root_id, stat.path, after.st_size, after.st_mtime_ns)
