"""What facets are counted from: a few facts of every picture, as columns in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from storage.catalog.column_types import text_to_path

Codes = NDArray[np.int32]
NONE = -1


@dataclass(frozen=True)
class Named:
    """A column of names: each row is a place in `names`, or NONE."""

    codes: Codes
    names: list[str]

    def count(self, rows: NDArray[np.bool_]) -> dict[str, int]:
        """Name → rows, the most frequent first."""
        codes = self.codes[rows]
        counts = np.bincount(codes[codes != NONE], minlength=len(self.names))
        order = sorted(range(len(self.names)), key=lambda code: (-counts[code], self.names[code]))
        return {self.names[code]: int(counts[code]) for code in order if counts[code]}


@dataclass(frozen=True)
class FacetColumns:
    """Pictures that some file holds, by ascending id, and their files. About 60 bytes each."""

    ids: NDArray[np.int64]
    widths: Codes
    heights: Codes
    latitudes: NDArray[np.float32]
    """NaN where there is none."""
    longitudes: NDArray[np.float32]
    months: Named
    cameras: Named
    formats: Named
    file_rows: Codes
    """Of each file: the place of its picture in `ids`."""
    folders: Named
    """Of each file: with a slash at its end, "" for none."""
    collections: Named
    """Of each file."""
    copies: NDArray[np.bool_]
    """Of each file: whether its picture has others."""


class _Codes(dict[str | None, int]):
    """Names → their codes, given as they come."""

    def __missing__(self, name: str | None) -> int:
        code = self[name] = NONE if name is None else len(self) - (None in self)
        return code

    def named(self, codes: Codes) -> Named:
        return Named(codes, [name for name in self if name is not None])


PICTURE = np.dtype(
    [
        *(("id", "i8"), ("width", "i4"), ("height", "i4"), ("latitude", "f4"), ("longitude", "f4")),
        *(("month", "i4"), ("camera", "i4"), ("format", "i4")),
    ]
)
FILE = np.dtype([("owner", "i8"), ("folder", "i4"), ("collection", "i4")])


def read_columns(engine: Engine) -> FacetColumns:
    months, cameras, formats, folders, collections = (_Codes() for _ in range(5))

    def picture_rows(connection: Connection) -> Iterator[tuple[object, ...]]:
        for *facts, month, camera, format_name in connection.exec_driver_sql(
            "SELECT id, width, height, latitude, longitude, substr(taken_at, 1, 7), camera, format"
            " FROM image WHERE deleted_at IS NULL ORDER BY id"
        ):
            yield (*facts, months[month], cameras[camera], formats[format_name])

    def file_rows(connection: Connection) -> Iterator[tuple[int, int, int]]:
        names = dict(
            tuple(row) for row in connection.exec_driver_sql("SELECT id, name FROM collection")
        )
        for owner, path, collection in connection.exec_driver_sql(
            "SELECT image_id, path, collection_id FROM location"
        ):
            yield owner, folders[path.rpartition("/")[0]], collections[names[collection]]

    with engine.connect() as connection:
        # One read transaction. Straight into arrays: there may be millions.
        pictures = np.fromiter(picture_rows(connection), dtype=PICTURE)
        files = np.fromiter(file_rows(connection), dtype=FILE)
    ids = np.ascontiguousarray(pictures["id"])
    rows = np.searchsorted(ids, files["owner"]).astype(np.int32)
    shown = [text_to_path(name) + "/" if name else "" for name in folders if name is not None]
    return FacetColumns(
        ids=ids,
        widths=np.ascontiguousarray(pictures["width"]),
        heights=np.ascontiguousarray(pictures["height"]),
        latitudes=np.ascontiguousarray(pictures["latitude"]),
        longitudes=np.ascontiguousarray(pictures["longitude"]),
        months=months.named(np.ascontiguousarray(pictures["month"])),
        cameras=cameras.named(np.ascontiguousarray(pictures["camera"])),
        formats=formats.named(np.ascontiguousarray(pictures["format"])),
        file_rows=rows,
        folders=Named(np.ascontiguousarray(files["folder"]), shown),
        collections=collections.named(np.ascontiguousarray(files["collection"])),
        copies=np.bincount(rows, minlength=len(ids))[rows] > 1,
    )
