"""A small real library, and beside it what it holds as plain values, to search by brute force."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from color_encoder import DIM, ColorEncoder

from search.schemas import SearchRequest
from storage.files import collection_id, locations_of, register_root
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FileStat, IndexedFile, NewImage


@dataclass(frozen=True)
class Facts:
    shares: tuple[int, ...]
    """Of the colours; few are possible, so that many pictures are equally near."""
    width: int
    height: int
    format: str
    month: int
    collection: str
    folder: str


@dataclass
class Picture:
    facts: Facts
    files: dict[str, str] = field(default_factory=dict)
    """Path → collection; a picture without any is deleted."""

    @property
    def embedding(self) -> np.ndarray:
        """As it is stored: (DIM,) float16."""
        row = np.zeros(DIM, dtype=np.float32)
        row[: len(self.facts.shares)] = self.facts.shares
        return (row / np.linalg.norm(row)).astype(np.float16)


class BruteForceLibrary:
    """Every step is done to the real library through its writer, and noted here."""

    def __init__(self, folder: Path) -> None:
        self.encoder = ColorEncoder()
        self.library = Library.open(folder, create=True)
        self.pictures: dict[int, Picture] = {}
        self.job = start_job(self.library.engine, "index", "colors", [])
        self.root = register_root(self.library.engine, Path("/pictures"), "root")

    def writer(self):
        return self.library.writer("test", self.encoder.space)

    def add(self, added: list[Facts]) -> None:
        for facts in added:
            picture = Picture(facts)
            number = len(self.pictures) + 1
            self.pictures[number] = picture
            picture.files[f"{facts.folder}/{number:04d}.png"] = facts.collection
        numbers = range(len(self.pictures) - len(added) + 1, len(self.pictures) + 1)
        self._commit({number: list(self.pictures[number].files) for number in numbers})

    def copy(self, at: int, collection: str) -> None:
        """One more file; a deleted picture comes back by it."""
        number = self._number(at)
        path = f"copies/{len(self.pictures[number].files)}-{number:04d}.png"
        self.pictures[number].files[path] = collection
        self._commit({number: [path]})

    def delete(self, at: int) -> None:
        number = self._number(at)
        located = [location for location, _ in locations_of(self.library.engine, number)]
        with self.writer() as writer:
            writer.forget(located)
        self.pictures[number].files.clear()

    def fold(self) -> None:
        with self.writer() as writer:
            self.library.fold(writer, force=True)

    def _number(self, at: int) -> int:
        return at % len(self.pictures) + 1

    def _commit(self, files: dict[int, list[str]]) -> None:
        batch = Batch()
        for number, paths in files.items():
            picture = self.pictures[number]
            facts = picture.facts
            sha256 = hashlib.sha256(str(number).encode()).digest()
            taken_at = datetime(2024, facts.month, 15, 12)  # noqa: DTZ001  (wall-clock time)
            batch.images[sha256] = NewImage(
                sha256, facts.width, facts.height, facts.format, 9, "#000000", taken_at
            )
            batch.embeddings[sha256] = picture.embedding.astype(np.float32)
            for path in paths:
                with self.library.engine.begin() as connection:
                    into = collection_id(connection, picture.files[path])
                stat = FileStat(self.root.id, path, 9, number)
                batch.files.append(IndexedFile(stat, into, sha256))
        with self.writer() as writer:
            writer.commit(batch, self.job, {})

    def expected(self, request: SearchRequest) -> list[tuple[int, float]]:
        """(id, score) of all hits, in order."""
        itself = {term.image.id for term in request.positive if term.image is not None}
        ids = np.array(
            [
                number
                for number, picture in self.pictures.items()
                if number not in itself and _lets_through(request, picture)
            ],
            dtype=np.int64,
        )
        if not len(ids):
            return []
        rows = np.stack([self.pictures[number].embedding for number in ids.tolist()])
        query = self._query(request).astype(np.float64)
        scores = (rows.astype(np.float64) @ query).round(6).astype(np.float32)
        order = np.lexsort((ids, -scores))
        return list(zip(ids[order].tolist(), scores[order].tolist(), strict=True))

    def _query(self, request: SearchRequest) -> np.ndarray:
        total = np.zeros(DIM, dtype=np.float32)
        for term in request.positive:
            if term.image is not None:
                row = self.pictures[term.image.id].embedding.astype(np.float32)
                row /= np.linalg.norm(row)
            else:
                row = self.encoder.encode_texts([term.text])[0]
            total += term.weight * row
        return total / float(np.linalg.norm(total))


def _lets_through(request: SearchRequest, picture: Picture) -> bool:
    wanted, facts = request.filters, picture.facts
    held = [
        path
        for path, collection in picture.files.items()
        if (not wanted.collection or collection in wanted.collection)
        and (wanted.path is None or path.startswith(wanted.path.rstrip("*")))
    ]
    shape = (facts.width > facts.height) - (facts.width < facts.height)
    return (
        bool(held)
        and (not wanted.format or facts.format in wanted.format)
        and facts.width >= (wanted.min_width or 0)
        and f"2024-{facts.month:02d}-15" >= (wanted.taken_after or "")
        and wanted.orientation in (None, ("portrait", "square", "landscape")[shape + 1])
    )
