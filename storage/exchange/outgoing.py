"""What goes out: pictures with their embeddings, page by page in the order of their ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, Row, Select, func, select

from storage.catalog.schema import Collection, Embedding, Image, Location, Root, Shard
from storage.index.shards import read_shard
from storage.library import Library
from storage.records import PictureText, SpaceRecord
from storage.words.picture_words import texts_of

PAGE_ROWS = 1000
SHARDS_HELD = 4


@dataclass(frozen=True)
class OutgoingPicture:
    """A picture, and the file that it is shown by."""

    image_id: int
    sha256: bytes
    root: Path
    path: str
    collection: str
    width: int
    height: int
    format: str
    size_bytes: int
    taken_at: str | None
    camera: str | None
    lens: str | None
    latitude: float | None
    longitude: float | None
    texts: tuple[PictureText, ...]

    @property
    def absolute(self) -> Path:
        return self.root / self.path

    @property
    def caption(self) -> str | None:
        """What describes it best, of what came with it."""
        by_kind = {text.kind: text.text for text in reversed(self.texts)}
        known = (by_kind.get(kind) for kind in ("caption", "description", "title"))
        return next((text for text in known if text), None)


@dataclass(frozen=True)
class Page:
    pictures: list[OutgoingPicture]
    embeddings: NDArray[np.float16]
    """(n, dim), as they are stored."""


def outgoing(library: Library, space: SpaceRecord, collection: str | None = None) -> Iterator[Page]:
    """Pictures that wait for their embedding are left out. An indexer may run meanwhile.

    collection: only pictures of which it holds a file; they are named by that file.
    """
    folder = library.shard_folder(space)
    shard = lru_cache(maxsize=SHARDS_HELD)(lambda name: read_shard(folder, name))
    after = 0
    while True:
        rows = _page(library.engine, space.id, after, collection)
        if not rows:
            return
        texts = texts_of(library.engine, [row.id for row in rows])
        embeddings = np.stack([shard(row.shard)[1][row.row] for row in rows])
        yield Page([_picture(row, texts.get(row.id, [])) for row in rows], embeddings)
        after = rows[-1].id


def count_outgoing(engine: Engine, space_id: int, collection: str | None = None) -> int:
    with engine.connect() as connection:
        chosen = _chosen(space_id, collection).subquery()
        return int(connection.execute(select(func.count()).select_from(chosen)).scalar_one())


def _chosen(space_id: int, collection: str | None) -> Select[*tuple[Any, ...]]:
    """(image id, id of the file that shows it) of all that go out."""
    query: Select[*tuple[Any, ...]] = (
        select(Image.id, func.min(Location.id).label("location"))
        .join(Location, Location.image_id == Image.id)
        .join(Embedding, Embedding.image_id == Image.id)
        .where(Image.deleted_at.is_(None), Embedding.space_id == space_id)
        .group_by(Image.id)
    )
    if collection is not None:
        query = query.join(Collection, Collection.id == Location.collection_id).where(
            Collection.name == collection
        )
    return query


def _page(engine: Engine, space_id: int, after: int, collection: str | None) -> Sequence[Row[Any]]:
    page = _chosen(space_id, collection).where(Image.id > after).order_by(Image.id)
    chosen = page.limit(PAGE_ROWS).subquery()
    query: Select[*tuple[Any, ...]] = (
        select(
            Image,
            Root.path.label("root"),
            Location.path.label("path"),
            Collection.name.label("collection"),
            Shard.name.label("shard"),
            Embedding.row.label("row"),
        )
        .join(chosen, chosen.c.id == Image.id)
        .join(Location, Location.id == chosen.c.location)
        .join(Root, Root.id == Location.root_id)
        .join(Collection, Collection.id == Location.collection_id)
        .join(Embedding, (Embedding.image_id == Image.id) & (Embedding.space_id == space_id))
        .join(Shard, Shard.id == Embedding.shard_id)
        .order_by(Image.id)
    )
    with engine.connect() as connection:
        return connection.execute(query).all()


def _picture(row: Row[Any], texts: list[PictureText]) -> OutgoingPicture:
    return OutgoingPicture(
        image_id=row.id,
        sha256=row.sha256,
        root=Path(row.root),
        path=row.path,
        collection=row.collection,
        width=row.width,
        height=row.height,
        format=row.format,
        size_bytes=row.size_bytes,
        taken_at=row.taken_at,
        camera=row.camera,
        lens=row.lens,
        latitude=row.latitude,
        longitude=row.longitude,
        texts=tuple(texts),
    )
