import os

import pytest

from storage.catalog.column_types import path_to_text, text_to_path


@pytest.mark.parametrize(
    "name",
    [
        b"plain.jpg",
        "ảnh đẹp.jpg".encode(),
        b"latin-1 caf\xe9.jpg",
        b"\xff\xfe\x80",
        "\U0010ff80 private use.jpg".encode(),
        "\U0010ff80".encode() + b"\xff",
        b"new\nline 'quote' \"double\".jpg",
    ],
)
def test_any_file_name_survives_the_catalog(name: bytes) -> None:
    path = os.fsdecode(name)
    text = path_to_text(path)
    text.encode("utf-8")  # what a database needs
    assert text_to_path(text) == path


def test_no_two_names_become_one() -> None:
    names = [b"\xff", "\U0010ffff".encode(), "\U0010fff4".encode(), b"\xf4\x8f\xbf\xbf\xff"]
    assert len({path_to_text(os.fsdecode(name)) for name in names}) == len(names)
