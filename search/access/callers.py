"""Who asks: the key that a request brought, or none."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from flask import Request, g
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import Authorization, Headers

from search.access.config import Scope
from search.access.hosts import address_of
from search.access.sessions import Sessions
from storage.api_keys import ApiKeyRecord, active_key, active_key_by_id, has_active_keys, note_use
from storage.errors import CatalogUnusable

USE_NOTED_EVERY = timedelta(hours=1)
"""A use is written down no more often: requests should not wait for the disk."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """key: None where none was brought, or it is unknown, or the library has no keys at all."""

    key: ApiKeyRecord | None
    address: str
    keys_needed: bool

    @property
    def name(self) -> str | None:
        return self.key.name if self.key else None

    @property
    def scope(self) -> Scope:
        if not self.keys_needed:
            return "admin"
        return cast(Scope, self.key.scope) if self.key else "open"


class Callers:
    """Asks the catalog at every request, so that a key made or revoked meanwhile counts at once."""

    def __init__(self, catalog: Engine, sessions: Sessions, *, open_without_keys: bool) -> None:
        self._catalog = catalog
        self._open_without_keys = open_without_keys
        self._sessions = sessions
        self._noted: dict[int, datetime] = {}
        self._lock = threading.Lock()

    def identify(self, request: Request) -> Caller:
        """Raises CatalogUnusable."""
        address = request.remote_addr or ""
        try:
            needed = not self._open_without_keys or has_active_keys(self._catalog)
            key = self._key_of(request) if needed else None
        except SQLAlchemyError as error:
            raise CatalogUnusable("The library can't be read; the log says why.") from error
        if key is not None:
            self._note_use(key)
        return Caller(key, address, needed)

    def _key_of(self, request: Request) -> ApiKeyRecord | None:
        given = key_given(request.headers)
        if given is not None:
            return active_key(self._catalog, given)
        key_id = self._sessions.key_id(request)
        return None if key_id is None else active_key_by_id(self._catalog, key_id)

    def _note_use(self, key: ApiKeyRecord) -> None:
        now = datetime.now(UTC)
        with self._lock:
            last = self._noted.get(key.id, key.last_used_at)
            if last is not None and now - last < USE_NOTED_EVERY:
                return
            self._noted[key.id] = now
        try:
            note_use(self._catalog, key.id)
        except SQLAlchemyError as error:  # a busy or read-only catalog is no reason to refuse
            log.warning("the use of key %s could not be noted: %s", key.name, error)


def key_given(headers: Mapping[str, str] | Headers) -> str | None:
    """`Authorization: Bearer KEY`, or `X-API-Key: KEY`. headers: that heed no case."""
    authorization = Authorization.from_header(headers.get("Authorization"))
    if authorization is not None and authorization.type == "bearer" and authorization.token:
        return authorization.token.strip()
    return headers.get("X-API-Key", "").strip() or None


def who(caller: Caller) -> tuple[str, str | int]:
    """Whose requests are counted together: a key's, or an address's.

    A household has 2^64 addresses of IPv6, so that they count as one.
    """
    if caller.key is not None:
        return ("key", caller.key.id)
    address = address_of(caller.address)
    if address is None or address.version == 4:
        return ("address", caller.address)
    return ("address", int(address) >> 64)


def current_caller() -> Caller | None:
    """Of the request at hand; None where it was refused before anybody asked."""
    found: Caller | None = g.get("caller")
    return found
