"""The file that a picture can be had from now."""

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from storage.files import locations_of
from storage.records import LocationRecord
from storage.sources.containers import (
    LocationChanged,
    MemberTooLarge,
    holds_member,
    read_bytes,
    split_location,
)
from storage.sources.places import is_remote, is_there


@dataclass(frozen=True)
class Original:
    """A file, or a member of a container, that holds a picture and can be read."""

    name: str
    """The file's own name, without its folders."""
    path: Path | None
    """Where it lies on the disk; None for a member, and for a file at a URL."""
    location: LocationRecord

    def read(self, max_bytes: int) -> bytes | None:
        """None when it is out of reach, or larger, after all."""
        try:
            if self.path is not None:
                with self.path.open("rb") as file:
                    data = file.read(max_bytes + 1)
                return data if len(data) <= max_bytes else None
            return read_bytes(self.location.root, self.location.path, max_bytes)
        except (OSError, MemberTooLarge, LocationChanged):
            return None


def readable_original(engine: Engine, image_id: int) -> Original | None:
    """None when no file that holds the image is within reach.

    A location that leads outside its root (by a symbolic link) is not served; nor is a member of
    a container that lies outside.
    """
    for _, location in locations_of(engine, image_id):
        try:
            found = _reachable(location)
        except OSError:
            continue
        if found is not None:
            return found
    return None


def _reachable(location: LocationRecord) -> Original | None:
    name = location.path.rpartition("/")[2]
    inside = split_location(location.root, location.path)
    if is_remote(location.root):
        there = is_there(location.absolute) if inside is None else holds_member(inside)
        return Original(name, None, location) if there else None
    file = location.absolute if inside is None else inside.container
    real = Path(os.path.realpath(file))
    if Path(os.path.realpath(location.root)) not in real.parents or not os.access(real, os.R_OK):
        return None
    if inside is None:
        return Original(name, real, location)
    return Original(name, None, location) if holds_member(inside) else None
