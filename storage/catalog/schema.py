"""The catalog's tables. A change here needs a migration beside it (see migrations/)."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.catalog.column_types import PathText, UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


class Counter(Table):
    """Numbers that only grow: `commit` (readers watch it) and `image_id` (never given twice)."""

    __tablename__ = "counter"
    name: Mapped[str] = mapped_column(String, primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class Collection(Table):
    """A named set of files, as people speak of them: "holiday", "catalogue 2024"."""

    __tablename__ = "collection"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)


class Root(Table):
    """A registered folder. Files are known by their path below it, so that it can be moved."""

    __tablename__ = "root"
    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(PathText, unique=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"))


class Image(Table):
    """A picture, known by the SHA-256 of its file's bytes."""

    __tablename__ = "image"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[bytes] = mapped_column(unique=True)
    width: Mapped[int]
    height: Mapped[int]
    format: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    taken_at: Mapped[str | None] = mapped_column(index=True)
    """ISO 8601 wall-clock time where it was taken, "2024-05-01T13:45:00"; sorts as text. A date
    alone is that of the file, where the picture says nothing."""
    taken_offset_minutes: Mapped[int | None]
    """East of UTC, when the camera recorded it."""
    camera: Mapped[str | None]
    lens: Mapped[str | None]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    dominant_color: Mapped[str]
    perceptual_hash: Mapped[int | None] = mapped_column(BigInteger, index=True)
    """64 bits, as a signed number; None for a picture that was indexed before there were any."""
    added_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    """No file holds it any more: masked from every search."""
    __table_args__ = (
        Index(
            "ix_image_deleted",
            "id",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )


class Location(Table):
    """A file that holds an image."""

    __tablename__ = "location"
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), index=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("root.id"))
    path: Mapped[str] = mapped_column(PathText)
    """Relative to the root, with forward slashes."""
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    sidecar_mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    """The latest of its sidecars' times (captions beside the file); None without any."""
    __table_args__ = (UniqueConstraint("root_id", "path"),)


class ImageText(Table):
    """Words that came with a picture. `picture_words`, a full-text table that only the migrations
    and storage/words/picture_words.py know, holds them and the files' names once more, folded."""

    __tablename__ = "image_text"
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), index=True)
    kind: Mapped[str]
    """title, description, keyword or caption."""
    source: Mapped[str]
    """exif, iptc, xmp, import, or "sidecar:" and the id of the location that it stands beside."""
    language: Mapped[str | None]
    """A BCP 47 tag, where it is known."""
    text: Mapped[str]


class Failure(Table):
    """A file that could not be indexed as it was at this size and time."""

    __tablename__ = "failure"
    id: Mapped[int] = mapped_column(primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("root.id"))
    path: Mapped[str] = mapped_column(PathText)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), index=True)
    kind: Mapped[str]
    reason: Mapped[str]
    failed_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("root_id", "path"),)


class Space(Table):
    """One encoder's embedding space; at most one is active."""

    __tablename__ = "space"
    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String, unique=True)
    checkpoint: Mapped[str]
    revision: Mapped[str | None]
    dim: Mapped[int]
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    """The space with the latest is the active one; None while it is being built."""


class Shard(Table):
    """A Parquet file of embeddings that is committed; a file not named here does not count."""

    __tablename__ = "shard"
    id: Mapped[int] = mapped_column(primary_key=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("space.id"), index=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    row_count: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes]
    created_at: Mapped[datetime]


class Embedding(Table):
    """Where an image's embedding lies."""

    __tablename__ = "embedding"
    space_id: Mapped[int] = mapped_column(ForeignKey("space.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"), index=True)
    row: Mapped[int]
    __table_args__ = ({"sqlite_with_rowid": False},)


class Job(Table):
    """One run of the indexer or of another batch command."""

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    status: Mapped[str]
    """running, done, interrupted, failed, or died (found later: its process is gone)."""
    checkpoint: Mapped[str]
    sources: Mapped[list[str]]
    started_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]]
    error: Mapped[str | None]


class ApiKey(Table):
    """What lets a program in. Only a hash of the key is kept."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    scope: Mapped[str]
    """read or admin."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
