"""Where the pictures of an import lie, and which roots they belong to."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from indexer.exchange.finding import Found, top
from storage.exchange.errors import ExchangeError
from storage.exchange.reading import IncomingPicture
from storage.files import list_roots, register_root, root_holding
from storage.records import RootRecord
from storage.sources.places import is_folder, is_remote


@dataclass
class Places:
    """Which folders an import needs as roots: those that are known, those that the files name,
    and for the rest the folder that holds all of them, on the disk and on each remote store."""

    base: Path | None
    """Where relative paths begin."""
    known: list[RootRecord]
    named: set[Path] = field(default_factory=set)
    common: dict[Path, Path] = field(default_factory=dict)
    """By where paths begin."""

    def absolute(self, picture: IncomingPicture) -> Path:
        """Raises ExchangeError for a relative path that begins nowhere."""
        path = Path(picture.path)
        if is_remote(path):
            return path
        if not path.is_absolute():
            if self.base is None:
                raise ExchangeError(
                    f"{picture.path}: the path is relative. Say with --root which folder it "
                    "begins at."
                )
            path = self.base / path
        return Path(os.path.normpath(path))

    def note(self, picture: IncomingPicture, found: Found) -> None:
        """Of a picture that is there."""
        if root_holding(self.known, found.folder) or self._is_named(found.path):
            return
        named = None if picture.root is None else Path(picture.root)
        if named is not None and named in found.path.parents and is_folder(named):
            self.named.add(named)
            return
        if self.base is not None and self.base in found.path.parents:
            self.named.add(self.base)
            return
        begins = top(found.path)
        parts = [self.common.get(begins, found.folder), found.folder]
        self.common[begins] = Path(os.path.commonpath(parts))

    def register(self, engine: Engine, collection: str | None) -> list[RootRecord]:
        """Raises ExchangeError when only the whole disk holds all pictures."""
        wanted = sorted(self.named) + sorted(self.common.values())
        for folder in wanted:
            if folder == Path(folder.anchor):
                raise ExchangeError(
                    "The pictures lie all over the disk, with no folder that holds them all. "
                    "Index the folders that they are in instead, or import them one by one."
                )
            register_root(engine, folder, collection)
        return list_roots(engine)

    def _is_named(self, path: Path) -> bool:
        return any(named in path.parents for named in self.named)


def root_of(roots: Iterable[RootRecord], found: Found) -> RootRecord | None:
    return root_holding(roots, found.folder)
