"""The first catalog: pictures, files, spaces, shards and jobs.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

from storage.catalog.column_types import PathText, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "collection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("name", name="uq_collection_name"),
    )
    op.create_table(
        "root",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", PathText(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_root_collection_id"),
        sa.PrimaryKeyConstraint("id", name="pk_root"),
        sa.UniqueConstraint("path", name="uq_root_path"),
    )
    _create_pictures()
    _create_spaces()


def _create_pictures() -> None:
    op.create_table(
        "image",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.String(), nullable=True),
        sa.Column("taken_offset_minutes", sa.Integer(), nullable=True),
        sa.Column("camera", sa.String(), nullable=True),
        sa.Column("lens", sa.String(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("dominant_color", sa.String(), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_image"),
        sa.UniqueConstraint("sha256", name="uq_image_sha256"),
    )
    op.create_index("ix_image_taken_at", "image", ["taken_at"])
    deleted = sa.text("deleted_at IS NOT NULL")
    op.create_index(
        "ix_image_deleted", "image", ["id"], sqlite_where=deleted, postgresql_where=deleted
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_table(
        "location",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("path", PathText(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name="fk_location_image_id"),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name="fk_location_root_id"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.id"], name="fk_location_collection_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_location"),
        sa.UniqueConstraint("root_id", "path", name="uq_location_root_id_path"),
    )
    op.create_index("ix_location_image_id", "location", ["image_id"])
    op.create_index("ix_location_collection_id", "location", ["collection_id"])
    op.create_table(
        "failure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("path", PathText(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("failed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name="fk_failure_root_id"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_failure_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_failure"),
        sa.UniqueConstraint("root_id", "path", name="uq_failure_root_id_path"),
    )
    op.create_index("ix_failure_job_id", "failure", ["job_id"])


def _create_spaces() -> None:
    op.create_table(
        "space",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=True),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("activated_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_space"),
        sa.UniqueConstraint("fingerprint", name="uq_space_fingerprint"),
    )
    op.create_table(
        "shard",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["space_id"], ["space.id"], name="fk_shard_space_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shard"),
        sa.UniqueConstraint("name", name="uq_shard_name"),
    )
    op.create_index("ix_shard_space_id", "shard", ["space_id"])
    op.create_table(
        "embedding",
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("shard_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["space_id"], ["space.id"], name="fk_embedding_space_id"),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name="fk_embedding_image_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_embedding_shard_id"),
        sa.PrimaryKeyConstraint("space_id", "image_id", name="pk_embedding"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_embedding_shard_id", "embedding", ["shard_id"])
