"""Embedding spaces: which encoder made what, and which one serves."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, insert, select

from storage.catalog.schema import Space
from storage.errors import SpaceMismatch
from storage.records import SpaceFacts, SpaceRecord


def active_space(engine: Engine) -> SpaceRecord | None:
    """The space that serves; None before the first one is made."""
    query = (
        select(Space)
        .where(Space.activated_at.is_not(None))
        .order_by(Space.activated_at.desc(), Space.id.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return SpaceRecord(row.id, row.fingerprint, row.checkpoint, row.revision, row.dim)


def require_same_space(active: SpaceRecord, facts: SpaceFacts, data_dir: Path) -> None:
    """Raise SpaceMismatch unless an encoder's space is the library's."""
    if active.fingerprint == facts.fingerprint:
        return
    if active.checkpoint == facts.checkpoint:
        why = (
            f"The library in {data_dir} was made with {active.checkpoint} in another version "
            f"(fingerprint {active.fingerprint[:12]}; the one loaded now has "
            f"{facts.fingerprint[:12]}): its weights, tokenizer or preprocessing have changed."
        )
    else:
        why = (
            f"The library in {data_dir} was made with the model {active.checkpoint}, "
            f"not with {facts.checkpoint}."
        )
    raise SpaceMismatch(
        f"{why} Embeddings of two models do not compare. Use {active.checkpoint} "
        "(leave --model out), or give the new model a library of its own with --data-dir."
    )


def create_space(engine: Engine, facts: SpaceFacts) -> SpaceRecord:
    """Make the library's first space, active at once: there is none that it could disturb."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        connection.execute(
            insert(Space).values(
                fingerprint=facts.fingerprint,
                checkpoint=facts.checkpoint,
                revision=facts.revision,
                dim=facts.dim,
                created_at=now,
                activated_at=now,
            )
        )
    created = active_space(engine)
    assert created is not None
    return created
