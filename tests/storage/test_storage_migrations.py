from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from storage.catalog.database import HEAD_REVISION
from storage.catalog.schema import Table
from storage.errors import CatalogUnusable, LibraryNotFound, LibraryTooNew
from storage.library import Library


def _is_of_the_schema(name: str | None, kind: str, _parents: object) -> bool:
    """The full-text table and those that SQLite keeps for it are not."""
    return kind != "table" or not (name or "").startswith("picture_words")


def test_the_migrations_make_the_schema_that_the_code_expects(library: Library) -> None:
    with library.engine.connect() as connection:
        opts = {"compare_type": True, "include_name": _is_of_the_schema}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Table.metadata) == []


def test_a_library_of_a_newer_version_is_refused_and_left_alone(library: Library) -> None:
    with library.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LibraryTooNew, match="newer Polyglance"):
        Library.open(library.data_dir)
    with library.engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert found == "9999" != HEAD_REVISION


def test_a_catalog_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(CatalogUnusable, match=r"catalog\.db can't be opened: .* not a database"):
        Library.open(tmp_path)


def test_opening_a_folder_without_a_library_names_it(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound, match="nowhere"):
        Library.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_the_database_is_durable_and_checks_its_references(library: Library) -> None:
    with library.engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}
