"""Column types that keep what plain SQL text and time columns would lose."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_ESCAPES = 0x10FF00
"""A byte b that is no UTF-8 is kept as the private-use character U+10FF00 + b."""


def path_to_text(path: str) -> str:
    """A path as Python's file functions give it → text that any database keeps.

    POSIX names are bytes. Python shows those that are no UTF-8 as lone surrogates, which no
    database accepts. They become private-use characters; such characters in a real name are
    escaped byte by byte too, so that the mapping has an exact inverse.
    """
    if path.isascii():
        return path
    escaped = []
    for char in path:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            escaped.append(chr(_ESCAPES + code - 0xDC00))
        elif _ESCAPES <= code <= _ESCAPES + 0xFF:
            escaped.extend(chr(_ESCAPES + byte) for byte in char.encode())
        else:
            escaped.append(char)
    return "".join(escaped)


def text_to_path(text: str) -> str:
    """The inverse of `path_to_text`."""
    if text.isascii():
        return text
    raw = b"".join(
        bytes([ord(char) - _ESCAPES])
        if _ESCAPES <= ord(char) <= _ESCAPES + 0xFF
        else char.encode("utf-8", "surrogateescape")
        for char in text
    )
    return raw.decode("utf-8", "surrogateescape")


class PathText(TypeDecorator[str]):
    """A file path, whatever bytes its name is made of; ordered by its UTF-8 bytes."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else path_to_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else text_to_path(value)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant; goes in and comes out aware, in UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a time zone: {value}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)
