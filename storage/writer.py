"""The one way into a library: shard first, then one transaction that names it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, delete, insert, select, update

from storage.catalog.schema import Counter, Embedding, Failure, Image, Job, Location, Shard
from storage.records import Batch, FailedFile, FileStat, IndexedFile, NewImage, SpaceRecord
from storage.shards import WrittenShard, write_shard

T = TypeVar("T")

SQL_CHUNK = 500
"""Values in one IN (…); SQLite allows 32,766 variables, PostgreSQL 65,535."""


class LibraryWriter:
    """Commits batches of one job into one space. Made by `Library.writer`, under the lock."""

    def __init__(self, engine: Engine, shard_folder: Path, space: SpaceRecord) -> None:
        self._engine = engine
        self.shard_folder = shard_folder
        self.space = space

    def commit(self, batch: Batch, job_id: int, counts: Mapping[str, float]) -> None:
        """Make the batch durable, and the job's counts with it.

        Killed before the transaction ends, nothing of the batch is there (the shard's file is
        swept up by the next writer); after it, all of it is.
        """
        with self._engine.connect() as connection:
            image_ids = self._image_ids(connection, batch)
            batch_embeddings = self._still_missing(connection, batch, image_ids)
        shard = None
        rows = np.array([image_ids[sha256] for sha256 in batch_embeddings], dtype=np.int64)
        if len(rows):
            embeddings = np.stack(list(batch_embeddings.values()))
            shard = write_shard(self.shard_folder, rows, embeddings)
        now = datetime.now(UTC)
        with self._engine.begin() as connection:
            _insert_images(connection, batch.images.values(), image_ids, now)
            if shard is not None:
                self._name_shard(connection, shard, rows, now)
            touched = [_put_file(connection, file, image_ids) for file in batch.files]
            touched += [_put_failure(connection, each, job_id, now) for each in batch.failures]
            _settle_deletions(connection, {image for group in touched for image in group}, now)
            connection.execute(
                update(Job).where(Job.id == job_id).values(counts=dict(counts), updated_at=now)
            )
            _count_commit(connection)

    def forget(self, location_ids: Iterable[int]) -> None:
        """Drop locations whose files are gone; an image without any is masked from search."""
        wanted = list(location_ids)
        now = datetime.now(UTC)
        with self._engine.begin() as connection:
            for start in range(0, len(wanted), SQL_CHUNK):
                chunk = wanted[start : start + SQL_CHUNK]
                gone = connection.execute(
                    delete(Location).where(Location.id.in_(chunk)).returning(Location.image_id)
                )
                _settle_deletions(connection, {row.image_id for row in gone}, now)
            _count_commit(connection)

    def forget_failures(self, root_id: int, paths: Iterable[str]) -> None:
        """Drop failures of files that are gone."""
        wanted = list(paths)
        with self._engine.begin() as connection:
            for start in range(0, len(wanted), SQL_CHUNK):
                chunk = wanted[start : start + SQL_CHUNK]
                connection.execute(
                    delete(Failure).where(Failure.root_id == root_id, Failure.path.in_(chunk))
                )

    def assign_collection(self, location_ids: Iterable[int], collection_id: int) -> None:
        wanted = list(location_ids)
        with self._engine.begin() as connection:
            for start in range(0, len(wanted), SQL_CHUNK):
                chunk = wanted[start : start + SQL_CHUNK]
                connection.execute(
                    update(Location)
                    .where(Location.id.in_(chunk))
                    .values(collection_id=collection_id)
                )
            _count_commit(connection)

    def purge_deleted(self) -> None:
        """Let the embeddings of deleted images go, before a new index generation is built.

        An image that comes back later is embedded again, and found in the tail.
        """
        deleted = select(Image.id).where(Image.deleted_at.is_not(None))
        with self._engine.begin() as connection:
            connection.execute(
                delete(Embedding).where(
                    Embedding.space_id == self.space.id, Embedding.image_id.in_(deleted)
                )
            )

    def _image_ids(self, connection: Connection, batch: Batch) -> dict[bytes, int]:
        """Ids of all the batch's images: those they have, or new ones, never given before."""
        wanted = {file.sha256 for file in batch.files} | set(batch.embeddings) | set(batch.images)
        ids = _known_ids(connection, wanted)
        next_id = connection.execute(
            select(Counter.value).where(Counter.name == "image_id")
        ).scalar_one()
        for sha256 in batch.images:
            if sha256 not in ids:
                next_id += 1
                ids[sha256] = next_id
        return ids

    def _still_missing(
        self, connection: Connection, batch: Batch, image_ids: Mapping[bytes, int]
    ) -> dict[bytes, NDArray[np.float32]]:
        wanted = {image_ids[sha256]: sha256 for sha256 in batch.embeddings}
        there: set[int] = set()
        for chunk in _chunks(list(wanted)):
            there.update(
                connection.execute(
                    select(Embedding.image_id).where(
                        Embedding.space_id == self.space.id, Embedding.image_id.in_(chunk)
                    )
                ).scalars()
            )
        return {
            sha256: batch.embeddings[sha256]
            for image_id, sha256 in wanted.items()
            if image_id not in there
        }

    def _name_shard(
        self,
        connection: Connection,
        shard: WrittenShard,
        image_ids: NDArray[np.int64],
        now: datetime,
    ) -> None:
        shard_id = connection.execute(
            insert(Shard)
            .values(
                space_id=self.space.id,
                name=shard.name,
                row_count=shard.row_count,
                size_bytes=shard.size_bytes,
                sha256=shard.sha256,
                created_at=now,
            )
            .returning(Shard.id)
        ).scalar_one()
        connection.execute(
            insert(Embedding),
            [
                {
                    "space_id": self.space.id,
                    "image_id": int(image_id),
                    "shard_id": shard_id,
                    "row": row,
                }
                for row, image_id in enumerate(image_ids)
            ],
        )


def _chunks(values: list[T]) -> Iterable[list[T]]:
    for start in range(0, len(values), SQL_CHUNK):
        yield values[start : start + SQL_CHUNK]


def _known_ids(connection: Connection, wanted: Iterable[bytes]) -> dict[bytes, int]:
    ids: dict[bytes, int] = {}
    for chunk in _chunks(list(wanted)):
        rows = connection.execute(select(Image.sha256, Image.id).where(Image.sha256.in_(chunk)))
        ids.update((row.sha256, row.id) for row in rows)
    return ids


def _insert_images(
    connection: Connection, images: Iterable[NewImage], ids: Mapping[bytes, int], now: datetime
) -> None:
    images = list(images)
    known = _known_ids(connection, (image.sha256 for image in images))
    rows = [
        {
            "id": ids[image.sha256],
            "sha256": image.sha256,
            "width": image.width,
            "height": image.height,
            "format": image.format,
            "size_bytes": image.size_bytes,
            "taken_at": _wall_clock(image.taken_at),
            "taken_offset_minutes": _offset_minutes(image.taken_at),
            "camera": image.camera,
            "lens": image.lens,
            "latitude": image.latitude,
            "longitude": image.longitude,
            "dominant_color": image.dominant_color,
            "perceptual_hash": image.perceptual_hash,
            "added_at": now,
        }
        for image in images
        if image.sha256 not in known
    ]
    if rows:
        connection.execute(insert(Image), rows)
        connection.execute(
            update(Counter)
            .where(Counter.name == "image_id")
            .values(value=max(ids[image.sha256] for image in images))
        )


def _wall_clock(taken_at: datetime | None) -> str | None:
    return taken_at.replace(tzinfo=None).isoformat(timespec="seconds") if taken_at else None


def _offset_minutes(taken_at: datetime | None) -> int | None:
    offset = taken_at.utcoffset() if taken_at else None
    return None if offset is None else round(offset.total_seconds() / 60)


def _put_file(
    connection: Connection, file: IndexedFile, image_ids: Mapping[bytes, int]
) -> set[int]:
    """Returns the images that may have gained or lost a file."""
    image_id = image_ids[file.sha256]
    place = (Location.root_id == file.stat.root_id) & (Location.path == file.stat.path)
    here = connection.execute(select(Location.id, Location.image_id).where(place)).first()
    values = {
        "image_id": image_id,
        "root_id": file.stat.root_id,
        "path": file.stat.path,
        "size_bytes": file.stat.size_bytes,
        "mtime_ns": file.stat.mtime_ns,
        "collection_id": file.collection_id,
    }
    if here is not None:
        connection.execute(update(Location).where(Location.id == here.id).values(values))
    elif file.moved_from is not None:
        moved = connection.execute(
            update(Location).where(Location.id == file.moved_from).values(values)
        )
        if not moved.rowcount:
            connection.execute(insert(Location).values(values))
    else:
        connection.execute(insert(Location).values(values))
    connection.execute(
        delete(Failure).where(Failure.root_id == file.stat.root_id, Failure.path == file.stat.path)
    )
    return {image_id} if here is None else {image_id, here.image_id}


def _put_failure(
    connection: Connection, failed: FailedFile, job_id: int, now: datetime
) -> set[int]:
    """Returns the images that may have lost a file."""
    stat: FileStat = failed.stat
    values = {
        "root_id": stat.root_id,
        "path": stat.path,
        "size_bytes": stat.size_bytes,
        "mtime_ns": stat.mtime_ns,
        "job_id": job_id,
        "kind": failed.kind,
        "reason": failed.reason,
        "failed_at": now,
    }
    place = (Failure.root_id == stat.root_id) & (Failure.path == stat.path)
    if not connection.execute(update(Failure).where(place).values(values)).rowcount:
        connection.execute(insert(Failure).values(values))
    if not failed.content_is_bad:
        return set()
    gone = connection.execute(
        delete(Location)
        .where(Location.root_id == stat.root_id, Location.path == stat.path)
        .returning(Location.image_id)
    )
    return {row.image_id for row in gone}


def _settle_deletions(connection: Connection, image_ids: set[int], now: datetime) -> None:
    """Mask the images among these that no file holds any more; bring back those that one does."""
    for chunk in _chunks(list(image_ids)):
        held = select(Location.image_id).where(Location.image_id.in_(chunk))
        among = Image.id.in_(chunk)
        connection.execute(
            update(Image)
            .where(among, Image.deleted_at.is_(None), Image.id.not_in(held))
            .values(deleted_at=now)
        )
        connection.execute(
            update(Image)
            .where(among, Image.deleted_at.is_not(None), Image.id.in_(held))
            .values(deleted_at=None)
        )


def _count_commit(connection: Connection) -> None:
    connection.execute(
        update(Counter).where(Counter.name == "commit").values(value=Counter.value + 1)
    )
