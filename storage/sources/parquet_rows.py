"""The pictures in a Parquet file, each a file of its own.

The layout of Hugging Face `datasets` (a column of structs with `bytes` and `path`), and plain
binary columns whose first value begins like a picture, as img2dataset writes them.
"""

import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from pyarrow import ArrowException, parquet, types

from storage.sources.container_table import (
    UNKNOWN_SIZE,
    ContainerDamaged,
    MemberTooLarge,
    safe_name,
)
from storage.sources.places import open_file

BATCH_ROWS = 16
BUFFER_BYTES = 1 << 20
"""Read of a column at a time: pictures are decompressed as they come, not a row group at once."""

CAPTIONS = ("caption", "text", "captions")
_STARTS = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"GIF8": "gif", b"II*\0": "tif", b"BM": "bmp"}


@dataclass(frozen=True)
class _Column:
    """A column of pictures, by the names of its leaves."""

    name: str
    bytes_leaf: str
    path_leaf: str | None
    may_be_null: bool


class ParquetRows:
    """Rows named by their number, so that the order of names is that of rows: "0017.jpg".

    Where the rows carry paths, these are the names if they come in order themselves ("a.jpg",
    "b.jpg"), and are put behind the number if not ("0017/b.jpg"). A caption column is shown as a
    file beside the picture: "0017.txt".
    """

    damage: str | None = None

    def __init__(self, path: Path) -> None:
        """Raises OSError, ContainerDamaged. No row where no column holds pictures."""
        self._path = path
        self._rows: dict[str, tuple[str, int]] = {}
        """(leaf, row) by name, the captions too."""
        self._cursors: dict[str, _Cursor] = {}
        self._lock = threading.Lock()
        with _damage_named(), open_file(path) as file:
            table = parquet.ParquetFile(file, buffer_size=BUFFER_BYTES)
            columns = list(_picture_columns(table))
            caption = next((name for name in CAPTIONS if name in table.schema_arrow.names), None)
            for column in columns:
                folder = f"{column.name}/" if len(columns) > 1 else ""
                for row, name in _named_rows(table, column):
                    self._rows[folder + name] = (column.bytes_leaf, row)
                    if caption is not None:
                        beside = PurePosixPath(folder + name).with_suffix(".txt")
                        self._rows[str(beside)] = (caption, row)

    @property
    def sizes(self) -> Mapping[str, int]:
        return dict.fromkeys(self._rows, UNKNOWN_SIZE)

    def holds(self, name: str) -> bool:
        return name in self._rows

    def read(self, name: str, most: int) -> bytes:
        leaf, row = self._rows[name]
        # Rows mostly come in order: then each page is decompressed once.
        with self._lock, _damage_named():
            cursor = self._cursors.get(leaf)
            if cursor is None or not cursor.can_reach(row):
                cursor = self._cursors[leaf] = _Cursor(self._path, leaf)
            data = _as_bytes(cursor.value(row))
        if len(data) > most:
            raise MemberTooLarge(len(data))
        return data

    def head(self, name: str, length: int) -> bytes:
        return self.read(name, sys.maxsize)[:length]


class _Cursor:
    """Reads one column's values forwards."""

    def __init__(self, path: Path, leaf: str) -> None:
        self._leaf = leaf
        self._file = open_file(path)
        weakref.finalize(self, self._file.close)
        self._table = parquet.ParquetFile(self._file, buffer_size=BUFFER_BYTES)
        self._group = -1
        self._starts = [0]
        for group in range(self._table.num_row_groups):
            self._starts.append(self._starts[-1] + self._table.metadata.row_group(group).num_rows)
        self._batches: Iterator[Any] = iter(())
        self._first = 0
        self._values: list[Any] = []

    def can_reach(self, row: int) -> bool:
        return row >= self._first

    def value(self, row: int) -> Any:
        group = next(g for g, end in enumerate(self._starts[1:]) if row < end)
        if group != self._group:
            self._group = group
            self._first, self._values = self._starts[group], []
            self._batches = self._table.iter_batches(BATCH_ROWS, [group], [self._leaf])
        while row >= self._first + len(self._values):
            self._first += len(self._values)
            batch = next(self._batches, None)
            if batch is None:
                raise ContainerDamaged(f"row {row:,} is missing")
            self._values = list(_leaf_values(batch, self._leaf))
        return self._values[row - self._first]


@contextmanager
def _damage_named() -> Iterator[None]:
    """What pyarrow raises, as ContainerDamaged."""
    try:
        yield
    except (ArrowException, OSError) as error:
        if isinstance(error, OSError) and (error.errno or isinstance(error, ContainerDamaged)):
            raise
        words = " ".join(str(error).split())[:200]
        raise ContainerDamaged(f"is no Parquet file, or a damaged one ({words})") from error


def _named_rows(table: Any, column: _Column) -> Iterator[tuple[int, str]]:
    """(row, name) of the rows that hold a picture."""
    count = table.metadata.num_rows
    own: list[str | None] = [None] * count
    if column.path_leaf is not None:
        own = [path and safe_name(path) for path in _values(table, column.path_leaf)]
    in_order = all(own) and all(_order(one) < _order(other) for one, other in pairwise(own))
    passed_over = _rows_without_picture(table, column)
    digits, suffix = len(str(count - 1)), _suffix(table, column)
    for row, path in enumerate(own):
        if row not in passed_over:
            number = f"{row:0{digits}d}"
            yield row, (path if in_order else f"{number}/{path}") if path else f"{number}.{suffix}"


def _order(name: str | None) -> bytes:
    return (name or "").encode("utf-8", "surrogateescape")


def _picture_columns(table: Any) -> Iterator[_Column]:
    for field in table.schema_arrow:
        if types.is_struct(field.type):
            inner = {
                field.type.field(at).name: field.type.field(at).type
                for at in range(field.type.num_fields)
            }
            if _is_binary(inner.get("bytes")):
                path = f"{field.name}.path" if _is_text(inner.get("path")) else None
                yield _column(table, field.name, f"{field.name}.bytes", path)
        elif _is_binary(field.type):
            column = _column(table, field.name, field.name, None)
            if _suffix(table, column) != "bin":
                yield column


def _is_binary(kind: Any) -> bool:
    return kind is not None and (types.is_binary(kind) or types.is_large_binary(kind))


def _is_text(kind: Any) -> bool:
    return kind is not None and (types.is_string(kind) or types.is_large_string(kind))


def _column(table: Any, name: str, bytes_leaf: str, path_leaf: str | None) -> _Column:
    metadata = table.metadata
    leaf = next(
        at for at in range(metadata.num_columns) if metadata.schema.column(at).path == bytes_leaf
    )
    may_be_null = False
    for group in range(metadata.num_row_groups):
        counted = metadata.row_group(group).column(leaf).statistics
        if counted is None or not counted.has_null_count or counted.null_count:
            may_be_null = True
    return _Column(name, bytes_leaf, path_leaf, may_be_null)


def _rows_without_picture(table: Any, column: _Column) -> set[int]:
    """Rows whose picture could not be had when the file was made."""
    if not column.may_be_null:
        return set()
    return {row for row, value in enumerate(_values(table, column.bytes_leaf)) if value is None}


def _suffix(table: Any, column: _Column) -> str:
    """By the first picture's bytes; "bin" if it is none that is known by sight."""
    first = next((value for value in _values(table, column.bytes_leaf) if value), b"")
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return "webp"
    return next((suffix for start, suffix in _STARTS.items() if first.startswith(start)), "bin")


def _values(table: Any, leaf: str) -> Iterator[Any]:
    for batch in table.iter_batches(BATCH_ROWS, columns=[leaf]):
        yield from _leaf_values(batch, leaf)


def _leaf_values(batch: Any, leaf: str) -> Iterator[Any]:
    for value in batch.column(0):
        found = value.as_py()
        yield found if not isinstance(found, dict) else next(iter(found.values()), None)


def _as_bytes(value: Any) -> bytes:
    """A picture's bytes, or a caption's: one a line where there are several."""
    if isinstance(value, bytes):
        return value
    lines = value if isinstance(value, list) else [value]
    return "\n".join(str(line) for line in lines if line is not None).encode()
