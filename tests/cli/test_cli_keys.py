import json

import pytest

from storage.api_keys import active_key
from storage.library import Library


@pytest.fixture
def made(library: Library):
    """The command line's own library, made."""
    return library


def test_a_key_is_printed_once_and_alone(polyglance, made: Library) -> None:
    ran = polyglance("keys", "create", "shop")
    assert ran.status == 0, ran.err
    key = ran.out.strip()
    assert "\n" not in key
    found = active_key(made.engine, key)
    assert found is not None
    assert (found.name, found.scope) == ("shop", "read")
    assert "not shown again" in ran.err
    listed = polyglance("keys", "list")
    assert "shop  read" in listed.out
    assert "never used" in listed.out
    assert key not in listed.out


def test_keys_as_json(polyglance, made: Library) -> None:
    first = json.loads(polyglance("keys", "create", "a", "--scope", "admin", "--json").out)
    assert list(first) == [
        "key",
        "id",
        "name",
        "scope",
        "created_at",
        "last_used_at",
        "revoked_at",
    ]
    (listed,) = json.loads(polyglance("keys", "list", "--json").out)["keys"]
    assert listed == {name: value for name, value in first.items() if name != "key"}
    gone = json.loads(polyglance("keys", "revoke", "a", "--json").out)
    assert gone["revoked_at"] is not None
    assert active_key(made.engine, first["key"]) is None


def test_a_key_is_revoked_by_its_id_too(polyglance, made: Library) -> None:
    key = polyglance("keys", "create", "a").out.strip()
    ran = polyglance("keys", "revoke", "1")
    assert (ran.status, active_key(made.engine, key)) == (0, None)
    assert "revoked" in polyglance("keys", "list").out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("create", "a", "--scope", "all"), 2, "scope"),
        (("create", "12"), 2, "letter"),
        (("create", ""), 2, "name"),
        (("create", "taken"), 1, "revoke"),
        (("revoke", "nobody"), 1, "keys list"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(
    polyglance, made: Library, arguments: tuple[str, ...], status: int, said: str
) -> None:
    polyglance("keys", "create", "taken")
    ran = polyglance("keys", *arguments)
    assert (ran.status, said in ran.err) == (status, True), ran.err
    assert ran.out == ""


def test_without_keys_the_list_says_what_that_means(polyglance, made: Library) -> None:
    assert "No keys" in polyglance("keys", "list").out
