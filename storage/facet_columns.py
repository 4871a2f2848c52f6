"""What facets are counted from: a few facts of every picture, as columns in memory."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

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


def read_columns(engine: Engine) -> FacetColumns:
    with engine.connect() as connection:
        # One read transaction. The driver's own rows: there may be millions.
        pictures = connection.exec_driver_sql(
            "SELECT id, width, height, latitude, longitude, substr(taken_at, 1, 7), camera, format"
            " FROM image WHERE deleted_at IS NULL ORDER BY id"
        ).fetchall()
        files = connection.exec_driver_sql(
            "SELECT location.image_id, location.path, collection.name FROM location"
            " JOIN collection ON collection.id = location.collection_id"
        ).fetchall()
    ids = np.fromiter((row[0] for row in pictures), dtype=np.int64, count=len(pictures))
    owners = np.fromiter((row[0] for row in files), dtype=np.int64, count=len(files))
    file_rows = np.searchsorted(ids, owners).astype(np.int32)
    folders = _named(row[1].rpartition("/")[0] for row in files)
    shown = [text_to_path(name) + "/" if name else "" for name in folders.names]
    return FacetColumns(
        ids=ids,
        widths=np.fromiter((row[1] for row in pictures), dtype=np.int32, count=len(pictures)),
        heights=np.fromiter((row[2] for row in pictures), dtype=np.int32, count=len(pictures)),
        latitudes=np.array([row[3] for row in pictures], dtype=np.float32),
        longitudes=np.array([row[4] for row in pictures], dtype=np.float32),
        months=_named(row[5] for row in pictures),
        cameras=_named(row[6] for row in pictures),
        formats=_named(row[7] for row in pictures),
        file_rows=file_rows,
        folders=Named(folders.codes, shown),
        collections=_named(row[2] for row in files),
    )


def _named(values: Iterable[str | None]) -> Named:
    known: dict[str | None, int] = {None: NONE}
    codes = [known.setdefault(value, len(known) - 1) for value in values]
    names = [name for name in known if name is not None]
    return Named(np.array(codes, dtype=np.int32), names)
