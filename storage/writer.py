"""The one way into a library: shard first, then one transaction that names it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, delete, insert, select, update

from storage.catalog.schema import Counter, Embedding, Failure, Image, Job, Location, Shard
from storage.file_rows import put_files
from storage.index.shards import WrittenShard, write_shard
from storage.jobs import moment_of_update
from storage.picture_rows import (
    drop_locations,
    known_ids,
    put_failure,
    put_images,
    settle_deletions,
)
from storage.records import Batch, SpaceRecord
from storage.words.word_rows import SQL_CHUNK, refresh_words, sql_chunks

__all__ = ["SQL_CHUNK", "LibraryWriter"]


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
            put_images(connection, batch.images.values(), image_ids, now)
            if shard is not None:
                self._name_shard(connection, shard, rows, now)
            touched = {image_ids[sha256] for sha256 in batch.images}
            touched |= put_files(
                connection, [(file, image_ids[file.sha256]) for file in batch.files]
            )
            for failed in batch.failures:
                touched |= put_failure(connection, failed, job_id, now)
            _settle(connection, touched, now)
            connection.execute(
                update(Job)
                .where(Job.id == job_id)
                .values(counts=dict(counts), updated_at=moment_of_update())
            )
            _count_commit(connection)

    def forget(self, location_ids: Iterable[int]) -> None:
        """Drop locations whose files are gone; an image without any is masked from search."""
        wanted = list(location_ids)
        now = datetime.now(UTC)
        with self._engine.begin() as connection:
            for start in range(0, len(wanted), SQL_CHUNK):
                chunk = wanted[start : start + SQL_CHUNK]
                gone = drop_locations(connection, Location.id.in_(chunk))
                _settle(connection, gone, now)
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
        ids = known_ids(connection, wanted)
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
        for chunk in sql_chunks(list(wanted)):
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


def _settle(connection: Connection, image_ids: set[int], now: datetime) -> None:
    """What follows from images having gained or lost a file, or words."""
    settle_deletions(connection, image_ids, now)
    refresh_words(connection, image_ids)


def _count_commit(connection: Connection) -> None:
    connection.execute(
        update(Counter).where(Counter.name == "commit").values(value=Counter.value + 1)
    )
