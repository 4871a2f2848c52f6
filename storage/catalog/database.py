"""Opening the catalog's database: connection settings and migrations."""

import contextlib
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError

from storage.errors import CatalogUnusable, LibraryTooNew

HEAD_REVISION = "0002"
"""The newest migration; compared at every open, so that Alembic is only loaded to migrate."""

BUSY_TIMEOUT_S = 30
KEPT_CONNECTIONS = 8
"""Opened on need, and up to ten more that are set up anew each time. Each holds some megabytes of a
large catalog."""


def open_database(url: str, data_dir: Path) -> Engine:
    """Connect and bring the schema up to date.

    Raises LibraryTooNew when a later version has written the catalog; CatalogUnusable.
    """
    engine = create_engine(url, pool_size=KEPT_CONNECTIONS)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin)
    try:
        if _schema_revision(engine) != HEAD_REVISION:
            with FileLock(data_dir / "migrate.lock"):
                _migrate(engine, url)
    except DBAPIError as error:
        engine.dispose()
        raise CatalogUnusable(
            f"The catalog {_without_password(url)} can't be opened: {error.orig}. Check that its "
            "disk has room and that you may write to its folder, or restore it from a backup."
        ) from error
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin a transaction only before an INSERT and its like: a migration would
    # not be one, and the queries of one reader would not see one state. We begin it ourselves.
    connection.isolation_level = None
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # A commit that has returned must outlive a power cut; in WAL mode NORMAL would not.
        cursor.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _schema_revision(engine: Engine) -> str | None:
    if not inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(engine: Engine, url: str) -> None:
    found = _schema_revision(engine)
    if found == HEAD_REVISION:  # another process was quicker
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise LibraryTooNew(
            f"The catalog {_without_password(url)} was written by a newer Polyglance (schema "
            f"{found}; this version knows up to {HEAD_REVISION}). Upgrade Polyglance to open it."
        )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _without_password(url: str) -> str:
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)
