"""Where the pictures of an import lie, and which roots they belong to."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from storage.exchange.errors import ExchangeError
from storage.exchange.reading import IncomingPicture
from storage.files import list_roots, register_root, root_holding
from storage.records import RootRecord


@dataclass
class Places:
    """Which folders an import needs as roots: those that are known, those that the files name,
    and for the rest the folder that holds all of them."""

    base: Path | None
    """Where relative paths begin."""
    known: list[RootRecord]
    named: set[Path] = field(default_factory=set)
    common: Path | None = None

    def absolute(self, picture: IncomingPicture) -> Path:
        """Raises ExchangeError for a relative path that begins nowhere."""
        path = Path(picture.path)
        if not path.is_absolute():
            if self.base is None:
                raise ExchangeError(
                    f"{picture.path}: the path is relative. Say with --root which folder it "
                    "begins at."
                )
            path = self.base / path
        return Path(os.path.normpath(path))

    def note(self, picture: IncomingPicture, path: Path) -> None:
        """Of a picture that is there."""
        if root_holding(self.known, path.parent) or self._is_named(path):
            return
        named = None if picture.root is None else Path(picture.root)
        if named is not None and named in path.parents and named.is_dir():
            self.named.add(named)
            return
        if self.base is not None and self.base in path.parents:
            self.named.add(self.base)
            return
        parts = [self.common, path.parent] if self.common else [path.parent]
        self.common = Path(os.path.commonpath(parts))

    def register(self, engine: Engine, collection: str | None) -> list[RootRecord]:
        """Raises ExchangeError when only the whole disk holds all pictures."""
        wanted = sorted(self.named) + ([self.common] if self.common else [])
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


def split(roots: Iterable[RootRecord], path: Path) -> tuple[RootRecord, str] | None:
    """(root, path below it with forward slashes); None when no root holds it."""
    root = root_holding(roots, path.parent)
    return None if root is None else (root, path.relative_to(root.path).as_posix())
