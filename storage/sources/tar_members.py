"""The files in a tar: where each lies, so that one is read without the others.

The headers are stepped through here and not by `tarfile`, which keeps an object for each member,
takes damage in the middle for the end, and reads headers of any length that an archive claims.
"""

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from storage.sources.container_table import ContainerDamaged, MemberTooLarge, safe_name
from storage.sources.places import open_file, read_part

BLOCK = tarfile.BLOCKSIZE
MAX_HEADER_BYTES = 64 * 1024
"""Of a long name or a list of attributes; what is longer is passed over with its member."""

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_ATTRIBUTES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_WITHOUT_DATA = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE),
    *(tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
)
_BEFORE_A_MEMBER = (*_ATTRIBUTES, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class TarMembers:
    """A plain tar's table of ordinary files; links, devices and sparse files are passed over.

    Of several members of one name the last one counts, as when a tar is unpacked.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError; damage is kept in `damage`, and what stands before it can be read."""
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self.damage: str | None = None
        with open_file(path) as file:
            self._list(file)

    @property
    def sizes(self) -> Mapping[str, int]:
        return {name: size for name, (_, size) in self._places.items()}

    def holds(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str, most: int) -> bytes:
        size = self._places[name][1]
        if size > most:
            raise MemberTooLarge(size)
        return self.head(name, size)

    def head(self, name: str, length: int) -> bytes:
        offset, size = self._places[name]
        length = min(length, size)
        data = read_part(self._path, offset, length)
        if len(data) < length:
            raise ContainerDamaged(f"{self._path.name} ends within {name}")
        return data

    def _list(self, file: BinaryIO) -> None:
        end = file.seek(0, 2)
        at = 0
        said: dict[str, str] = {}  # about the next member, by the headers before it
        while True:
            file.seek(at)
            block = file.read(BLOCK)
            if block.count(0) == BLOCK:
                return
            if len(block) < BLOCK:
                self.damage = "is empty" if not end else "is cut off: a tar's end mark is missing"
                return
            member = _header(block)
            if member is None:
                self.damage = f"is no tar, or a damaged one (no header at byte {at:,})"
                return
            data = at + BLOCK + _sparse_map(file, member, block)
            if member.type in _BEFORE_A_MEMBER:
                said.update(_attributes(file, member))
            elif member.type != tarfile.XGLTYPE:
                self._take(member, said, data, end)
                said = {}
            at = data + -(-_stored(member) // BLOCK) * BLOCK
            if at > end:
                self.damage = "is cut off within a file"
                return

    def _take(self, member: tarfile.TarInfo, said: dict[str, str], data: int, end: int) -> None:
        size = said.get("size", "")
        if size.isdecimal() and size.isascii() and len(size) < 20:
            member.size = int(size)
        if member.type not in _FILES or "sparse" in said or member.name.endswith("/"):
            return
        name = safe_name(said.get("path", member.name))
        if name is not None and "too long" not in said and data + member.size <= end:
            self._places[name] = (data, member.size)


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError):
        return None
    return member if member.size >= 0 else None


def _stored(member: tarfile.TarInfo) -> int:
    """Bytes that follow the header: links and devices have none, whatever they claim."""
    return 0 if member.type in _WITHOUT_DATA else member.size


def _sparse_map(file: BinaryIO, member: tarfile.TarInfo, block: bytes) -> int:
    """Bytes of the further headers that a file with holes can have."""
    length = 0
    more = member.type == tarfile.GNUTYPE_SPARSE and block[482]
    while more:
        block = file.read(BLOCK)
        length += BLOCK
        more = len(block) == BLOCK and block[504]
    return length


def _attributes(file: BinaryIO, member: tarfile.TarInfo) -> dict[str, str]:
    """What a header before a member says of it: `path`, `size`, and what bars it."""
    if member.size > MAX_HEADER_BYTES:
        return {"too long": ""}
    data = file.read(member.size)
    if member.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    if member.type not in _ATTRIBUTES:
        return {}
    found: dict[str, str] = {}
    while data:
        # "27 path=a file's name\n": the first number counts the whole line.
        digits, blank, _ = data[:20].partition(b" ")
        length = int(digits) if blank and digits.isdigit() else 0
        if length <= len(digits) + 2 or length > len(data):
            break
        key, _, value = data[len(digits) + 1 : length - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    kept = {key: value for key, value in found.items() if key in {"path", "size"}}
    if any(key.startswith("GNU.sparse") for key in found):
        kept["sparse"] = ""
    return kept
