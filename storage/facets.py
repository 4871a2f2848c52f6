"""How many pictures there are of each kind: what a reader may choose to filter by.

A facet is counted over the pictures that pass all filters but its own, so that its counts say what
another choice there would find.
"""

import threading
import time
from dataclasses import dataclass, field
from math import cos, radians

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from storage.catalog.schema import Counter, Image
from storage.facet_columns import FacetColumns, read_columns
from storage.facet_places import Cluster, clusters_of
from storage.pictures import KM_PER_DEGREE, filter_ids, pictures_matching
from storage.records import PictureFilter

MOST_FOLDERS = 60
MOST_CAMERAS = 12
SHORTER_SIDES = (1000, 2000, 3000)
"""Pixels: at least 1, 4 and 9 megapixels."""
CELLS_ACROSS = 36
"""Of the grid that places are gathered in, over the width of what the map shows."""
KEPT_FILTERS = 256
STALE_SHARE = 10
"""While a job commits, columns may be as old as so many times what reading them took."""

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Facets:
    """Counts by value; what no picture has is not listed."""

    total: int = 0
    """Pictures that pass all filters."""
    collections: dict[str, int] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    """Names of the folders right below the one that is chosen."""
    months: dict[str, int] = field(default_factory=dict)
    """As "2024-05", in order."""
    cameras: dict[str, int] = field(default_factory=dict)
    orientations: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    """By the least length of the shorter side."""
    formats: dict[str, int] = field(default_factory=dict)
    places: tuple[Cluster, ...] = ()


def folder_of(chosen: PictureFilter) -> str:
    """The folder that a filter such as "2024/*" names, with a slash at its end; "" for none."""
    glob = chosen.path_glob or ""
    return glob[:-1] if glob.endswith("/*") and "*" not in glob[:-1] else ""


def degrees_shown(chosen: PictureFilter) -> float:
    """Of longitude, on a map of what a filter chooses; the whole world without a place."""
    if chosen.near is None:
        return 360.0
    latitude, _, km = chosen.near
    across = 2.5 * km / (KM_PER_DEGREE * max(cos(radians(latitude)), 0.2))
    return min(max(across, 4.0), 360.0)


def browse(
    engine: Engine, chosen: PictureFilter, *, before: int | None = None, limit: int
) -> list[int]:
    """Ids of the pictures that a filter lets through, the newest in the library first.

    before: only those that came in before this one.
    """
    query = pictures_matching(chosen).order_by(Image.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Image.id < before)
    with engine.connect() as connection:
        return [int(image_id) for image_id in connection.execute(query).scalars()]


def came_after(engine: Engine, chosen: PictureFilter, image_id: int) -> int | None:
    """The picture that stands before `image_id` in `browse`."""
    query = pictures_matching(chosen).where(Image.id > image_id).order_by(Image.id).limit(1)
    with engine.connect() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else int(found)


@dataclass(frozen=True)
class _State:
    """The columns at one commit, and what the filters that were asked about let through."""

    commit: int
    columns: FacetColumns
    until: float
    """On the monotonic clock: how long they may be used although the catalog has moved on."""
    passing: dict[PictureFilter, Rows] = field(default_factory=dict)
    counted: dict[PictureFilter, Facets] = field(default_factory=dict)


class FacetCounts:
    """Counts of a library's pictures, kept until the catalog changes. Threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._state: _State | None = None

    def of(self, chosen: PictureFilter) -> Facets:
        state = self._current()
        found = state.counted.get(chosen)
        if found is None:
            found = self._count(state, chosen)
            if len(state.counted) < KEPT_FILTERS:
                state.counted[chosen] = found
        return found

    def _count(self, state: _State, chosen: PictureFilter) -> Facets:
        parts = _parts(chosen)

        def around(own: str = "") -> Rows:
            """The pictures that pass all filters but the facet's own."""
            rows = np.ones(len(state.columns.ids), dtype=np.bool_)
            for name, part in parts.items():
                if name != own:
                    rows &= self._passing(state, part)
            return rows

        columns = state.columns
        return Facets(
            total=int(around().sum()),
            collections=self._collections(state, around("held"), chosen.path_glob),
            folders=_folders(columns, around("held"), chosen),
            months=dict(sorted(columns.months.count(around("taken")).items())),
            cameras=_cameras(columns, around("camera")),
            orientations=_orientations(columns, around("orientation")),
            sizes=_sizes(columns, around("size")),
            formats=columns.formats.count(around("formats")),
            places=clusters_of(columns, around(), degrees_shown(chosen) / CELLS_ACROSS),
        )

    def _current(self) -> _State:
        with self._engine.connect() as connection:
            query = select(Counter.value).where(Counter.name == "commit")
            commit = int(connection.execute(query).scalar_one())
        with self._lock:
            held = self._state
            if held and (held.commit == commit or time.monotonic() < held.until):
                return held
            began = time.monotonic()
            columns = read_columns(self._engine)
            now = time.monotonic()
            self._state = _State(commit, columns, now + STALE_SHARE * (now - began))
            return self._state

    def _collections(self, state: _State, rows: Rows, glob: str | None) -> dict[str, int]:
        columns = state.columns
        if glob is None:
            return _collections(columns, rows)
        counts = {
            name: int((rows & self._passing(state, PictureFilter((name,), glob))).sum())
            for name in sorted(columns.collections.names)
        }
        return {name: count for name, count in counts.items() if count}

    def _passing(self, state: _State, part: PictureFilter) -> Rows:
        found = state.passing.get(part)
        if found is None:
            found = _of_columns(state.columns, part)
            if found is None:
                # Both ascend; one that came in since the columns were read is none of theirs.
                passing = filter_ids(self._engine, part)
                at = np.searchsorted(passing, state.columns.ids)
                found = np.append(passing, -1)[at] == state.columns.ids
            if len(state.passing) < KEPT_FILTERS:
                state.passing[part] = found
        return found


def _of_columns(columns: FacetColumns, part: PictureFilter) -> Rows | None:
    """What a filter lets through, where the columns can tell; else the catalog is asked."""
    if part == PictureFilter(orientation=part.orientation):
        turned = {"landscape": np.greater, "portrait": np.less, "square": np.equal}
        rows: Rows = turned[part.orientation or ""](columns.widths, columns.heights)
        return rows
    if part == PictureFilter(min_width=part.min_width, min_height=part.min_height):
        return (columns.widths >= (part.min_width or 0)) & (
            columns.heights >= (part.min_height or 0)
        )
    if part == PictureFilter(formats=part.formats):
        wanted = {name.lower() for name in part.formats}
        codes = [code for code, name in enumerate(columns.formats.names) if name in wanted]
        return np.isin(columns.formats.codes, codes)
    return None


def _parts(chosen: PictureFilter) -> dict[str, PictureFilter]:
    """The filters that are set, by the facet that they belong to."""
    parts = {
        # One file must be of the collection and in the folder.
        "held": PictureFilter(collections=chosen.collections, path_glob=chosen.path_glob),
        "taken": PictureFilter(taken_after=chosen.taken_after, taken_before=chosen.taken_before),
        "camera": PictureFilter(camera=chosen.camera),
        "orientation": PictureFilter(orientation=chosen.orientation),
        "size": PictureFilter(min_width=chosen.min_width, min_height=chosen.min_height),
        "formats": PictureFilter(formats=chosen.formats),
        "near": PictureFilter(near=chosen.near),
    }
    return {name: part for name, part in parts.items() if not part.is_empty}


def _collections(columns: FacetColumns, rows: Rows) -> dict[str, int]:
    found = _pictures_by(columns, rows[columns.file_rows], columns.collections.codes)
    return {columns.collections.names[code]: count for code, count in sorted(found.items())}


def _folders(columns: FacetColumns, rows: Rows, chosen: PictureFilter) -> dict[str, int]:
    parent = folder_of(chosen)
    below: dict[str, int] = {}
    names = columns.folders.names
    child = np.full(len(names), -1, dtype=np.int32)
    for code, folder in enumerate(names):
        if folder.startswith(parent) and folder != parent:
            name = folder[len(parent) :].partition("/")[0]
            child[code] = below.setdefault(name, len(below))
    if not below:
        return {}
    codes = child[columns.folders.codes]
    files = rows[columns.file_rows] & (codes >= 0)
    if chosen.collections:
        named = columns.collections
        wanted = [code for code, name in enumerate(named.names) if name in chosen.collections]
        files &= np.isin(named.codes, wanted)
    found = _pictures_by(columns, files, codes)
    listed = list(below)
    most = sorted(found, key=lambda code: -found[code])[:MOST_FOLDERS]
    return {name: found[below[name]] for name in sorted(listed[code] for code in most)}


def _pictures_by(columns: FacetColumns, files: Rows, codes: NDArray[np.int32]) -> dict[int, int]:
    """Code → pictures that have a file of it; a picture with two such files counts once."""
    counts = np.bincount(codes[files & ~columns.copies])
    several = files & columns.copies
    pairs = columns.file_rows[several].astype(np.int64) << 32 | codes[several]
    more = np.bincount(np.unique(pairs) & 0xFFFFFFFF, minlength=len(counts))
    more[: len(counts)] += counts
    return {code: int(count) for code, count in enumerate(more.tolist()) if count}


def _cameras(columns: FacetColumns, rows: Rows) -> dict[str, int]:
    """A filter by camera takes every name that holds its own, and so does the count."""
    found = columns.cameras.count(rows)
    return {
        name: sum(count for other, count in found.items() if name.lower() in other.lower())
        for name in list(found)[:MOST_CAMERAS]
    }


def _orientations(columns: FacetColumns, rows: Rows) -> dict[str, int]:
    widths, heights = columns.widths, columns.heights
    counts = {
        "landscape": int(np.count_nonzero((widths > heights) & rows)),
        "portrait": int(np.count_nonzero((widths < heights) & rows)),
        "square": int(np.count_nonzero((widths == heights) & rows)),
    }
    return {name: count for name, count in counts.items() if count}


def _sizes(columns: FacetColumns, rows: Rows) -> dict[int, int]:
    shorter = np.minimum(columns.widths, columns.heights)
    counts = {side: int(np.count_nonzero((shorter >= side) & rows)) for side in SHORTER_SIDES}
    return {side: count for side, count in counts.items() if count}
