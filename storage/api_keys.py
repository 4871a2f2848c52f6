"""API keys: what lets a program or a person in when a library is not open to all.

A key is 256 random bits, so a plain SHA-256 keeps it: there is nothing to guess that a slow hash
would protect. It is looked up by that hash; what the time of a look-up could tell is about the
hash, from which no key can be made.
"""

import hashlib
import secrets
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Engine, exists, insert, select, update

from storage.catalog.schema import ApiKey
from storage.errors import KeyNameTaken, KeyNotFound

PREFIX = "plg_"
"""So that a key is known as one where it has been left lying about."""
RANDOM_BYTES = 32
SCOPES = ("read", "admin")
MOST_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class ApiKeyRecord:
    """A key as it is known after its making: without itself."""

    id: int
    name: str
    scope: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


_RECORD = tuple(getattr(ApiKey, each.name) for each in fields(ApiKeyRecord))


@dataclass(frozen=True)
class NewKey:
    key: str
    """Shown once; it can't be had again."""
    record: ApiKeyRecord


def create_key(engine: Engine, name: str, scope: str) -> NewKey:
    """name: to know it by; no other active key may have it. Raises KeyNameTaken, ValueError."""
    if scope not in SCOPES:
        raise ValueError(f"{scope!r} is no scope: give one of {', '.join(SCOPES)}")
    _check_name(name)
    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    values = {"name": name, "scope": scope, "created_at": datetime.now(UTC)}
    with engine.begin() as connection:
        active = select(ApiKey.id).where(ApiKey.name == name, _is_active())
        if connection.execute(active).first() is not None:
            raise KeyNameTaken(
                f"There is a key named {name!r} already. Choose another name, or revoke that one "
                "first: polyglance keys revoke"
            )
        made = insert(ApiKey).values(key_hash=_hash(key), **values).returning(*_RECORD)
        return NewKey(key, ApiKeyRecord(**connection.execute(made).one()._mapping))


def list_keys(engine: Engine) -> list[ApiKeyRecord]:
    """All that were ever made, the first made first."""
    with engine.connect() as connection:
        rows = connection.execute(select(*_RECORD).order_by(ApiKey.id))
        return [ApiKeyRecord(**row._mapping) for row in rows]


def revoke_key(engine: Engine, name_or_id: str) -> ApiKeyRecord:
    """An active key, by id or by name; holds from the next request on. Raises KeyNotFound."""
    named = ApiKey.id == int(name_or_id) if _is_id(name_or_id) else ApiKey.name == name_or_id
    with engine.begin() as connection:
        changed = connection.execute(
            update(ApiKey)
            .where(named, _is_active())
            .values(revoked_at=datetime.now(UTC))
            .returning(*_RECORD)
        ).first()
    if changed is None:
        raise KeyNotFound(f"There is no active key {name_or_id!r}: polyglance keys list names all.")
    return ApiKeyRecord(**changed._mapping)


def has_active_keys(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.execute(select(exists().where(_is_active()))).scalar_one())


def active_key(engine: Engine, key: str) -> ApiKeyRecord | None:
    """The record of a key that was given; None where it is unknown or revoked."""
    return _one_active(engine, ApiKey.key_hash == _hash(key))


def active_key_by_id(engine: Engine, key_id: int) -> ApiKeyRecord | None:
    return _one_active(engine, ApiKey.id == key_id)


def note_use(engine: Engine, key_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=datetime.now(UTC))
        )


def _one_active(engine: Engine, which: ColumnElement[bool]) -> ApiKeyRecord | None:
    with engine.connect() as connection:
        row = connection.execute(select(*_RECORD).where(which, _is_active())).first()
    return None if row is None else ApiKeyRecord(**row._mapping)


def _is_active() -> ColumnElement[bool]:
    return ApiKey.revoked_at.is_(None)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _is_id(text: str) -> bool:
    """A number that an id can be; SQLite's go up to 2^63 - 1."""
    return text.isascii() and text.isdigit() and int(text) < 2**63


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MOST_NAME_CHARACTERS or not name.isprintable():
        raise ValueError(
            f"{name!r} can't name a key: give 1 to {MOST_NAME_CHARACTERS} letters or signs"
        )
    if name.isdigit():
        raise ValueError(f"{name!r} would be taken for a key's id: give it a letter as well")
