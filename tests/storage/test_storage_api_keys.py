import pytest
from sqlalchemy import text

from storage.api_keys import (
    active_key,
    active_key_by_id,
    create_key,
    has_active_keys,
    list_keys,
    note_use,
    revoke_key,
)
from storage.errors import KeyNameTaken, KeyNotFound
from storage.library import Library


def test_a_key_is_known_again_and_stands_nowhere_in_the_library(library: Library) -> None:
    assert not has_active_keys(library.engine)
    made = create_key(library.engine, "shop", "read")
    assert has_active_keys(library.engine)
    assert active_key(library.engine, made.key) == made.record
    assert active_key_by_id(library.engine, made.record.id) == made.record
    assert (made.record.name, made.record.scope) == ("shop", "read")
    with library.engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    library.close()
    for path in library.data_dir.glob("catalog.db*"):
        assert made.key.encode() not in path.read_bytes()


def test_keys_are_long_and_never_the_same(library: Library) -> None:
    keys = {create_key(library.engine, f"key {at}", "read").key for at in range(20)}
    assert len(keys) == 20
    assert all(len(key.removeprefix("plg_")) * 6 >= 192 for key in keys)


@pytest.mark.parametrize("wrong", ["", "plg_", "x" * 10_000, "\udcff", "plg_é"])
def test_what_is_no_key_is_not_known(library: Library, wrong: str) -> None:
    create_key(library.engine, "shop", "read")
    assert active_key(library.engine, wrong) is None


def test_a_revoked_key_counts_no_more_and_stays_in_the_list(library: Library) -> None:
    first = create_key(library.engine, "first", "read")
    second = create_key(library.engine, "second", "admin")
    revoke_key(library.engine, "first")
    assert active_key(library.engine, first.key) is None
    assert active_key_by_id(library.engine, first.record.id) is None
    assert active_key(library.engine, second.key) is not None
    assert [each.revoked_at is None for each in list_keys(library.engine)] == [False, True]
    revoke_key(library.engine, str(second.record.id))
    assert not has_active_keys(library.engine)
    for gone in ("second", "2", "99", str(2**63), "²"):
        with pytest.raises(KeyNotFound, match="polyglance keys list"):
            revoke_key(library.engine, gone)


def test_a_name_belongs_to_one_active_key(library: Library) -> None:
    create_key(library.engine, "shop", "read")
    with pytest.raises(KeyNameTaken):
        create_key(library.engine, "shop", "admin")
    revoke_key(library.engine, "shop")
    create_key(library.engine, "shop", "admin")


@pytest.mark.parametrize("name", ["", "  ", "12", "two\nlines", "x" * 101])
def test_a_name_that_would_mislead_is_refused(library: Library, name: str) -> None:
    with pytest.raises(ValueError, match="key"):
        create_key(library.engine, name, "read")


def test_an_unknown_scope_is_refused(library: Library) -> None:
    with pytest.raises(ValueError, match="read, admin"):
        create_key(library.engine, "shop", "write")


def test_the_last_use_is_noted(library: Library) -> None:
    made = create_key(library.engine, "shop", "read")
    note_use(library.engine, made.record.id)
    (listed,) = list_keys(library.engine)
    assert listed.last_used_at is not None
    assert listed.last_used_at >= made.record.created_at
