"""Runs an index job, and lays down what a disk would hold had the power failed at each step.

usage: power_cut_indexer.py PICTURES LIBRARY IMAGES FIRST STRIDE

A disk keeps what was flushed: of a file what it held at its last fsync, of a folder the names at
its last fsync, of the catalog what its last commit left (SQLite flushes it itself). The rest may be
there or not; each image is one of three ways that it can go:

- `lost`: only what was flushed is there, under the names that were;
- `empty`: names and renames all got through, and the bytes that were not flushed did not;
- `torn`: as `empty`, and half of what the catalog's log had grown by did.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy
from library_contents import run_job

from storage.library import Library

CATALOG = ("catalog.db", "catalog.db-wal")


class Disk:
    """What of the library in `home` has got through to the disk."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.flushed: dict[int, bytes] = {}
        """By inode."""
        self.names: dict[Path, int] = {}
        """Flushed ones, and the inode that each means."""
        self.catalog = dict.fromkeys(CATALOG, b"")
        self.torn_log = b""

    def files(self) -> Iterator[Path]:
        for path in self.home.rglob("*"):
            if path.is_file() and not path.name.startswith("catalog.db"):
                yield path

    def flush(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            gone = [name for name in self.names if name.parent == path]
            for name in gone:
                del self.names[name]
            self.names.update({each: each.stat().st_ino for each in path.iterdir()})
        else:
            self.flushed[path.stat().st_ino] = path.read_bytes()

    def can_be_reached(self, name: Path) -> bool:
        folders = [folder for folder in name.parents if self.home in folder.parents]
        return all(folder in self.names for folder in folders)

    def commit(self) -> None:
        before = self.catalog["catalog.db-wal"]
        for name in CATALOG:
            path = self.home / name
            self.catalog[name] = path.read_bytes() if path.exists() else b""
        now = self.catalog["catalog.db-wal"]
        self.torn_log = now[: len(before) + (len(now) - len(before)) // 2]

    def lay_down(self, image: Path, kind: str, torn_log: bytes | None = None) -> None:
        if kind == "lost":
            held = {
                name: self.flushed.get(inode, b"")
                for name, inode in self.names.items()
                if not name.is_dir() and self.can_be_reached(name)
            }
        else:
            held = {path: self.flushed.get(path.stat().st_ino, b"") for path in self.files()}
        image.mkdir(parents=True)
        for path, content in held.items():
            to = image / path.relative_to(self.home)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content)
        catalog = dict(self.catalog)
        if torn_log is not None:
            catalog["catalog.db-wal"] = torn_log
        for name, content in catalog.items():
            (image / name).write_bytes(content)


class Recorder:
    """Lays images down as the job goes from step to step."""

    def __init__(self, disk: Disk, images: Path, first: int, stride: int) -> None:
        self.disk = disk
        self.images = images
        self.first, self.stride = first, stride
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps >= self.first and (self.steps - self.first) % self.stride == 0:
            for kind in ("lost", "empty"):
                self.disk.lay_down(self.images / f"{self.steps:04d}-{kind}", kind)

    def watch(self) -> None:
        dialect = sqlalchemy.engine.default.DefaultDialect
        fsync, replace, commit = os.fsync, Path.replace, dialect.do_commit

        def flushing(descriptor):
            self.step()
            fsync(descriptor)
            self.disk.flush(descriptor)
            self.step()

        def renaming(path, to):
            self.step()
            result = replace(path, to)
            self.step()
            return result

        def committing(*arguments):
            self.step()
            before = dict(self.disk.catalog)
            commit(*arguments)
            self.disk.commit()
            if before["catalog.db"]:
                after, self.disk.catalog = self.disk.catalog, before
                image = self.images / f"{self.steps:04d}-torn"
                self.disk.lay_down(image, "empty", self.disk.torn_log)
                self.disk.catalog = after
            self.step()

        os.fsync, Path.replace, dialect.do_commit = flushing, renaming, committing


def main() -> None:
    pictures, home, images = (Path(each) for each in sys.argv[1:4])
    first, stride = int(sys.argv[4]), int(sys.argv[5])
    library = Library.open(home, create=True)
    disk = Disk(home)
    disk.commit()
    disk.names = {path: path.stat().st_ino for path in home.iterdir()}
    recorder = Recorder(disk, images, first, stride)
    recorder.watch()
    run_job(library, pictures)
    print(recorder.steps)


main()
