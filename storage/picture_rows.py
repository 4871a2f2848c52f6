"""The rows of pictures and failures, put and dropped within a writer's transaction."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from storage.catalog.schema import Counter, Failure, Image, Location
from storage.records import FailedFile, FileStat, NewImage
from storage.words.word_rows import (
    EMBEDDED_SOURCES,
    drop_sidecar_texts,
    replace_texts,
    sql_chunks,
)


def known_ids(connection: Connection, wanted: Iterable[bytes]) -> dict[bytes, int]:
    """Image ids by sha256, of those that the catalog has."""
    ids: dict[bytes, int] = {}
    for chunk in sql_chunks(list(wanted)):
        rows = connection.execute(select(Image.sha256, Image.id).where(Image.sha256.in_(chunk)))
        ids.update((row.sha256, row.id) for row in rows)
    return ids


def put_images(
    connection: Connection, images: Iterable[NewImage], ids: Mapping[bytes, int], now: datetime
) -> None:
    """New pictures are inserted; those that were read again gain the facts that the catalog has
    not: an earlier version may have read fewer."""
    images = list(images)
    known = known_ids(connection, (image.sha256 for image in images))
    new = [
        {"id": ids[image.sha256], "sha256": image.sha256, "added_at": now, **_facts(image)}
        for image in images
        if image.sha256 not in known
    ]
    if new:
        connection.execute(insert(Image), new)
        highest = max(ids[image.sha256] for image in images)
        connection.execute(update(Counter).where(Counter.name == "image_id").values(value=highest))
    _fill_in(
        connection, {ids[image.sha256]: _facts(image) for image in images if image.sha256 in known}
    )
    replace_texts(
        connection,
        {ids[image.sha256]: image.texts for image in images if image.texts},
        EMBEDDED_SOURCES,
    )


def _fill_in(connection: Connection, facts: Mapping[int, Mapping[str, Any]]) -> None:
    """By the ids of images."""
    for chunk in sql_chunks(list(facts)):
        for row in connection.execute(select(Image.__table__).where(Image.id.in_(chunk))).all():
            read = facts[row.id]
            missing = {name: read[name] for name in read if getattr(row, name) is None}
            if row.taken_at is not None:
                missing.pop("taken_offset_minutes", None)  # it goes with its own time only
            if any(value is not None for value in missing.values()):
                connection.execute(update(Image).where(Image.id == row.id).values(missing))


def _facts(image: NewImage) -> dict[str, Any]:
    return {
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
    }


def _wall_clock(taken_at: date | None) -> str | None:
    if isinstance(taken_at, datetime):
        return taken_at.replace(tzinfo=None).isoformat(timespec="seconds")
    return None if taken_at is None else taken_at.isoformat()


def _offset_minutes(taken_at: date | None) -> int | None:
    offset = taken_at.utcoffset() if isinstance(taken_at, datetime) else None
    return None if offset is None else round(offset.total_seconds() / 60)


def put_failure(connection: Connection, failed: FailedFile, job_id: int, now: datetime) -> set[int]:
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
    here = (Location.root_id == stat.root_id) & (Location.path == stat.path)
    return drop_locations(connection, here)


def drop_locations(connection: Connection, condition: ColumnElement[bool]) -> set[int]:
    """Drop files, and what stood beside them. Returns the images that may have lost a file."""
    gone = connection.execute(
        delete(Location).where(condition).returning(Location.id, Location.image_id)
    ).all()
    drop_sidecar_texts(connection, {row.id: row.image_id for row in gone})
    return {row.image_id for row in gone}


def settle_deletions(connection: Connection, image_ids: set[int], now: datetime) -> None:
    """Mask the images among these that no file holds any more; bring back those that one does."""
    for chunk in sql_chunks(list(image_ids)):
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
