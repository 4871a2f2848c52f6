"""Words that come with pictures and their full-text index, perceptual hashes, API keys.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from storage.catalog.column_types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nullable: pictures that are in the catalog already get theirs when they are read again.
    op.add_column("image", sa.Column("perceptual_hash", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_image_perceptual_hash"), "image", ["perceptual_hash"])
    op.add_column("location", sa.Column("sidecar_mtime_ns", sa.BigInteger(), nullable=True))
    op.create_table(
        "image_text",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name="fk_image_text_image_id"),
        sa.PrimaryKeyConstraint("id", name="pk_image_text"),
    )
    op.create_index(op.f("ix_image_text_image_id"), "image_text", ["image_id"])
    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("key_hash", name="uq_api_key_key_hash"),
    )
    if op.get_bind().dialect.name == "sqlite":
        # What it holds is folded (case, accents) before it goes in: see storage/words.
        op.execute(
            "CREATE VIRTUAL TABLE picture_words USING fts5("
            "names, words, tokenize = 'trigram case_sensitive 1')"
        )


def downgrade() -> None:
    raise NotImplementedError("a library is not taken back to an older schema")
