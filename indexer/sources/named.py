"""What the user named, as parts of roots."""

import os
import stat as stat_modes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Engine

from indexer.errors import SourceError
from indexer.sources.listed import ListedFiles, group_listed
from indexer.sources.pictures import claims_to_be_a_picture
from storage.catalog.column_types import path_to_text
from storage.files import list_roots, register_root, root_holding
from storage.records import RootRecord
from storage.sources.containers import is_container_name
from storage.sources.places import is_folder, is_remote, list_folder, ordinary_file, shown
from storage.sources.remote import is_url, url_of

UNREGISTERED = -1
"""For a root that the catalog has no row of."""

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")


@dataclass(frozen=True)
class Source:
    """A folder, a container, a file or some files to index, as the part of a root that it is."""

    root: RootRecord
    below: str
    """Path relative to the root: "" for the root itself, else "folder/", "00000.tar/" or
    "folder/file.jpg"."""
    listed: tuple[str, ...] | None = None
    """Only these paths, in the catalog's order; None for all that lies below."""

    @classmethod
    def within(cls, root: RootRecord, path: Path, *, is_folder: bool) -> "Source":
        """The part of `root` that `path`, an existing file or folder, is."""
        relative = path.relative_to(root.path).as_posix()
        if relative == ".":
            return cls(root, "")
        return cls(root, relative + ("/" if is_folder or is_container_name(path.name) else ""))

    @classmethod
    def of_listed(cls, root: RootRecord, files: ListedFiles) -> "Source":
        below = [_relative(root, path) for path in files.paths]
        return cls(root, "", tuple(sorted(below, key=catalog_order)))

    @property
    def absolute(self) -> Path:
        return self.root.path / self.below


def _relative(root: RootRecord, path: str) -> str:
    """Of a listed path. One outside the root, which only a missing file's can be, stays whole."""
    absolute = Path(path)
    return str(absolute.relative_to(root.path)) if root.path in absolute.parents else path


def catalog_order(path: str) -> bytes:
    """What the catalog sorts paths by."""
    return path_to_text(path).encode()


@dataclass(frozen=True)
class Named:
    """Something to index that is there, and not yet a part of any root."""

    path: Path
    """Absolute; for listed files the folder above all of them."""
    listed: ListedFiles | None = None

    @cached_property
    def folder(self) -> Path:
        """What becomes a root if none holds it."""
        if self.listed is not None:
            return self.path
        # To ask a web server for the files below a file would be to fetch it.
        is_file = is_remote(self.path) and _looks_like_a_file(self.path.name)
        return self.path if not is_file and is_folder(self.path) else self.path.parent

    def __str__(self) -> str:
        return shown(self.path) + ("" if self.listed is None else f" ({self.listed})")

    def within(self, root: RootRecord) -> Source:
        if self.listed is None:
            return Source.within(root, self.path, is_folder=self.folder == self.path)
        return Source.of_listed(root, self.listed)

    def unregistered(self) -> Source:
        """As a part of a root that is not in the catalog, and will not be by looking at it."""
        folder = self.folder
        return self.within(RootRecord(UNREGISTERED, folder, UNREGISTERED, folder.name))


def find_sources(names: Iterable[str], listed: Sequence[str] | None = None) -> list[Named]:
    """What the user named, and the names of a list. Raises SourceError: for a name that can't be
    indexed, and for a list of which nothing is there."""
    found = [Named(resolve_source(name)) for name in names]
    if listed is None:
        return found
    files, others = group_listed(listed)
    found += [Named(Path(group.folder), group) for group in files]
    return found + [Named(resolve_source(name)) for name in others]


def register_sources(
    engine: Engine, named: Sequence[Named], collection: str | None
) -> list[Source]:
    """The sources as parts of registered roots."""
    # The upper folders first: a root that is taken in by another one is a root no more.
    for each in sorted(named, key=lambda each: len(each.folder.parts)):
        register_root(engine, each.folder, collection)
    roots = list_roots(engine)
    sources = []
    for each in named:
        root = root_holding(roots, each.folder)
        assert root is not None  # just registered
        sources.append(each.within(root))
    return sources


def resolve_source(name: str) -> Path:
    """Absolute path of what the user named. Raises SourceError."""
    if is_url(name):
        return _resolve_url(name)
    path = Path(name).expanduser()
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)
    try:
        mode = absolute.stat().st_mode
        if stat_modes.S_ISDIR(mode):
            with os.scandir(absolute):
                return absolute
    except FileNotFoundError:
        raise SourceError(f"{name}: there is no such file or folder.") from None
    except PermissionError:
        raise SourceError(
            f"{name}: permission denied. Give your user the right to read it (and to enter the "
            "folders above it)."
        ) from None
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror}.") from None
    if not stat_modes.S_ISREG(mode):
        raise SourceError(f"{name}: is neither a folder nor an ordinary file.")
    _refuse_compressed(name)
    return absolute


def _refuse_compressed(name: str) -> None:
    if name.lower().endswith(_COMPRESSED):
        raise SourceError(
            f"{name}: is a compressed archive, in which no picture can be reached without reading "
            "all before it. Unpack it, or make a plain .tar of it (pictures are compressed anyway)."
        )


def _resolve_url(name: str) -> Path:
    """A URL as a path, once something is found there."""
    if name.startswith("file://"):
        return resolve_source(name.removeprefix("file://"))
    path = Path(name)
    if url_of(path) is None or "::" in name:
        raise SourceError(f"{name}: is no URL of a folder or a file, like s3://bucket/photos.")
    if urlsplit(name).password:
        raise SourceError(
            f"{name.partition('://')[0]}://…: a password in a URL would be kept in the library and "
            "shown. Put it into fsspec's configuration (~/.config/fsspec/conf.json) or where the "
            "protocol's package looks for it."
        )
    _refuse_compressed(name)
    try:
        is_file = _looks_like_a_file(path.name) and ordinary_file(path) is not None
        if not is_file and next(list_folder(path), None) is None and ordinary_file(path) is None:
            raise SourceError(f"{name}: there is nothing there, or nothing that can be listed.")
    except FileNotFoundError:
        raise SourceError(f"{name}: there is nothing there. Check the address.") from None
    except OSError as error:
        raise SourceError(
            f"{name}: {error.strerror}. URLs are reached by fsspec and a package for the protocol "
            "(s3fs, gcsfs, adlfs, aiohttp for http, …): pip install 'polyglance[remote]' and that "
            "package, and check the address."
        ) from None
    return path


def _looks_like_a_file(name: str) -> bool:
    return is_container_name(name) or claims_to_be_a_picture(name)
