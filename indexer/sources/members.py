"""The pictures in a container, as files below it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from imaging import sniff_format
from indexer.sidecars import sidecar_names
from indexer.sources.named import catalog_order
from indexer.sources.pictures import SNIFF_BYTES, claims_to_be_a_picture
from storage.records import FileStat, KnownFile
from storage.sources.containers import (
    Container,
    is_stamp_of,
    open_container,
    pictures_in_stamp,
    stamp_of,
)
from storage.sources.places import FileState

NEVER_PICTURES = (".txt", ".json", ".xmp", ".cls")
"""What datasets keep beside a picture; anything else that is no picture by name is looked at."""


@dataclass(frozen=True)
class FoundContainer:
    """A tar or a Parquet file that the walk came by."""

    root_id: int
    path: str
    """Relative to the root, ending in a slash."""
    file: Path
    state: FileState


@dataclass(frozen=True)
class Unreadable:
    """A folder or a container that can't be read, or not to its end."""

    path: str
    """Relative to the root, ending in a slash; without one for a listed file that is not there."""
    reason: str


def is_as_known(found: FoundContainer, known: Sequence[KnownFile]) -> bool:
    """Whether the catalog has all of a container as it is now, told without opening it.

    known: its rows at and below `found.path`. A row of its own is a failure: then it is opened.
    """
    if not known or known[0].path == found.path:
        return False
    stamp = known[0].mtime_ns
    return (
        is_stamp_of(stamp, found.state)
        and pictures_in_stamp(stamp) == len(known)
        and all(row.mtime_ns == stamp for row in known)
    )


def list_members(
    found: FoundContainer, exclude: tuple[str, ...], unreadable: Callable[[Unreadable], None]
) -> list[FileStat]:
    """A container's pictures, in the catalog's order."""
    try:
        container = open_container(found.file, found.state)
        names = [name for name in container.sizes if _is_picture(container, name)]
    except OSError as error:
        unreadable(Unreadable(found.path, f"can't be read: {error.strerror or error}"))
        return []
    if container.damage is not None:
        unreadable(Unreadable(found.path, f"{container.damage}; what stands before is indexed"))
    sizes = container.sizes
    stamp = stamp_of(found.state, len(names))
    return sorted(
        (
            FileStat(
                found.root_id,
                found.path + name,
                sizes[name],
                stamp,
                stamp if has_sidecar(name, sizes) else None,
            )
            for name in names
            if not any(is_excluded(part, exclude) for part in name.split("/"))
        ),
        key=lambda stat: catalog_order(stat.path),
    )


def has_sidecar(name: str, names: Mapping[str, int]) -> bool:
    folder, slash, file_name = name.rpartition("/")
    return any(folder + slash + beside in names for beside in sidecar_names(file_name))


def is_excluded(name: str, exclude: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in exclude)


def _is_picture(container: Container, name: str) -> bool:
    if claims_to_be_a_picture(name):
        return True
    if name.lower().endswith(NEVER_PICTURES):
        return False
    return sniff_format(container.head(name, SNIFF_BYTES)) is not None
