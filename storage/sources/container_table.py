"""What the kinds of containers have in common: names, sizes, and a way to the bytes."""

from collections.abc import Mapping
from typing import Protocol

UNKNOWN_SIZE = -1
"""Of a member whose size is only known once it is read."""

MAX_NAME_BYTES = 4000
"""No file system takes longer paths; a hostile archive may claim one of any length."""


class ContainerDamaged(OSError):
    """A container can't be read, or not to its end; `strerror` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(None, reason)
        self.strerror = reason

    def __str__(self) -> str:
        return str(self.strerror)


class MemberTooLarge(Exception):
    """A file is larger than the caller takes."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"has {size_bytes:,} bytes")
        self.size_bytes = size_bytes


class Container(Protocol):
    """A file that holds files."""

    damage: str | None
    """Why it could not be listed to its end; None when it could."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Size by name, UNKNOWN_SIZE where only reading tells it."""
        ...

    def holds(self, name: str) -> bool: ...

    def read(self, name: str, most: int) -> bytes:
        """A member's bytes. Raises KeyError, MemberTooLarge, ContainerDamaged, OSError."""
        ...

    def head(self, name: str, length: int) -> bytes:
        """A member's first bytes; raises as `read` does."""
        ...


def safe_name(name: str) -> str | None:
    """A member's name as a path below its container; None for one that names nothing.

    Nothing is ever extracted, but paths are joined and compared: "/etc/x" becomes "etc/x", and a
    step upwards becomes a folder of its own.
    """
    if len(name) > MAX_NAME_BYTES:
        return None
    parts = [part for part in name.replace("\0", "_").split("/") if part not in ("", ".")]
    safe = "/".join("__" if part == ".." else part for part in parts)
    try:
        encoded = safe.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, which no file name is made of
        return safe_name(safe.encode("utf-8", "replace").decode())
    return safe if 0 < len(encoded) <= MAX_NAME_BYTES else None
