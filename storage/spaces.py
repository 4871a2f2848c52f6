"""Embedding spaces: which encoder made what, and which one serves."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from storage.catalog.schema import Counter, Embedding, Image, Shard, Space
from storage.errors import SpaceMismatch, SpaceRemoved
from storage.records import SpaceFacts, SpaceRecord
from storage.words.word_rows import sql_chunks

NO_SPACE = -1

_log = logging.getLogger(__name__)


def active_space(engine: Engine) -> SpaceRecord | None:
    """The space that serves; None before the first one is made."""
    activated = activated_spaces(engine)
    return activated[0] if activated else None


def all_spaces(engine: Engine) -> list[SpaceRecord]:
    """The oldest first, whether they serve or not."""
    with engine.connect() as connection:
        return [_record(row) for row in connection.execute(select(Space).order_by(Space.id))]


def activated_spaces(engine: Engine) -> list[SpaceRecord]:
    """The one that serves, then those that served before it, the latest first."""
    with engine.connect() as connection:
        return _activated(connection)


def spaces_in_the_making(engine: Engine) -> list[SpaceRecord]:
    """Those that do not serve, and are not to serve again by an undo."""
    query = select(Space).where(Space.activated_at.is_(None)).order_by(Space.id)
    with engine.connect() as connection:
        return [_record(row) for row in connection.execute(query)]


def _activated(connection: Connection) -> list[SpaceRecord]:
    query = select(Space).where(Space.activated_at.is_not(None))
    rows = connection.execute(query.order_by(Space.activated_at.desc(), Space.id.desc()))
    return [_record(row) for row in rows]


def _record(row: Row[Any]) -> SpaceRecord:
    return SpaceRecord(row.id, row.fingerprint, row.checkpoint, row.revision, row.dim)


def require_same_space(active: SpaceRecord, facts: SpaceFacts, data_dir: Path) -> None:
    """Raise SpaceMismatch unless an encoder's space is the library's."""
    if active.fingerprint == facts.fingerprint:
        return
    if active.checkpoint == facts.checkpoint:
        raise SpaceMismatch(
            f"The library in {data_dir} was made with {active.checkpoint} in another version "
            f"(fingerprint {active.fingerprint[:12]}; the one loaded now has "
            f"{facts.fingerprint[:12]}): its weights, tokenizer or preprocessing have changed. "
            "Embeddings of two versions do not compare. Embed the library anew, while the old "
            f"embeddings stay until you drop them (polyglance reindex --model {facts.checkpoint}), "
            "or go back to the version that it was made with."
        )
    raise SpaceMismatch(
        f"The library in {data_dir} was made with the model {active.checkpoint}, "
        f"not with {facts.checkpoint}. Embeddings of two models do not compare. Use "
        f"{active.checkpoint} (leave --model out), move the whole library to the new model "
        f"(polyglance reindex --model {facts.checkpoint}), or give that a library of its own with "
        "--data-dir."
    )


def create_space(engine: Engine, facts: SpaceFacts) -> SpaceRecord:
    """Make the library's first space, active at once: there is none that it could disturb."""
    return _create(engine, facts, activated_at=datetime.now(UTC))


def space_beside(engine: Engine, facts: SpaceFacts) -> SpaceRecord:
    """The space of an encoder, made if there is none, beside the one that serves."""
    with engine.connect() as connection:
        found = connection.execute(select(Space).where(Space.fingerprint == facts.fingerprint))
        row = found.first()
    return _create(engine, facts, activated_at=None) if row is None else _record(row)


def _create(engine: Engine, facts: SpaceFacts, activated_at: datetime | None) -> SpaceRecord:
    with engine.begin() as connection:
        values = {
            "fingerprint": facts.fingerprint,
            "checkpoint": facts.checkpoint,
            "revision": facts.revision,
            "dim": facts.dim,
            "created_at": datetime.now(UTC),
            "activated_at": activated_at,
        }
        row = connection.execute(insert(Space).values(values).returning(Space.id)).one()
    return SpaceRecord(row.id, facts.fingerprint, facts.checkpoint, facts.revision, facts.dim)


def activate_space(engine: Engine, space: SpaceRecord) -> None:
    """Let a space serve, in one transaction. Only under the write lock."""
    with engine.begin() as connection:
        latest = connection.execute(select(func.max(Space.activated_at))).scalar()
        now = datetime.now(UTC)
        if latest is not None:  # the clock may have been set back
            now = max(now, latest + timedelta(microseconds=1))
        connection.execute(update(Space).where(Space.id == space.id).values(activated_at=now))
        _count_commit(connection)


def reactivate_previous(engine: Engine) -> SpaceRecord | None:
    """Undo the last switch, in one transaction: the space that served before serves again, which
    is returned. None when there is none. Only under the write lock."""
    with engine.begin() as connection:
        activated = _activated(connection)
        if len(activated) < 2:
            return None
        undone = update(Space).where(Space.id == activated[0].id)
        connection.execute(undone.values(activated_at=None))
        _count_commit(connection)
        return activated[1]


def forget_space(engine: Engine, space: SpaceRecord) -> None:
    """Drop a space and its embeddings from the catalog. Its files are `Library`'s to remove."""
    with engine.begin() as connection:
        for table in (Embedding, Shard):
            connection.execute(delete(table).where(table.space_id == space.id))
        connection.execute(delete(Space).where(Space.id == space.id))
        _count_commit(connection)


def count_missing(engine: Engine, space_id: int, but_in: int | None = None) -> int:
    """Live pictures without an embedding in a space; but_in: only those that another one has."""
    query = select(func.count(Image.id)).where(
        Image.deleted_at.is_(None), Image.id.not_in(_embedded(space_id))
    )
    if but_in is not None:
        query = query.where(Image.id.in_(_embedded(but_in)))
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def count_to_embed(engine: Engine, facts: SpaceFacts) -> int:
    """Live pictures that an encoder's space, be there one or not, has no embedding of."""
    query = select(Space.id).where(Space.fingerprint == facts.fingerprint)
    with engine.connect() as connection:
        space_id = connection.execute(query).scalar()
    return count_missing(engine, NO_SPACE if space_id is None else space_id)


def embedded_among(engine: Engine, space_id: int, image_ids: Sequence[int]) -> set[int]:
    """Those of the images that a space has an embedding of."""
    there: set[int] = set()
    with engine.connect() as connection:
        for chunk in sql_chunks(list(image_ids)):
            query = _embedded(space_id).where(Embedding.image_id.in_(chunk))
            there.update(connection.execute(query).scalars())
    return there


def check_serving(connection: Connection, space: SpaceRecord) -> None:
    """Raise SpaceRemoved where a reader's space is gone; log where another one serves."""
    here = select(Space.id).where(Space.id == space.id, Space.fingerprint == space.fingerprint)
    active = _activated(connection)
    if connection.execute(here).first() is None:
        serving = active[0].checkpoint if active else "none"
        raise SpaceRemoved(
            f"The embeddings of {space.checkpoint} were removed from the library, which is now of "
            f"the model {serving}. Start the server again to use that."
        )
    if active and active[0].id != space.id:
        _log.warning(
            "The library now uses the model %s; this process goes on with %s, and does not find "
            "what is indexed from now on. Start it again to change over.",
            active[0].checkpoint,
            space.checkpoint,
        )


def _embedded(space_id: int) -> Any:
    return select(Embedding.image_id).where(Embedding.space_id == space_id)


def _count_commit(connection: Connection) -> None:
    commits = update(Counter).where(Counter.name == "commit")
    connection.execute(commits.values(value=Counter.value + 1))
