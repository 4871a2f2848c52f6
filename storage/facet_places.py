"""Where pictures were taken, gathered in clusters for a map."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians

import numpy as np
from numpy.typing import NDArray

from storage.facet_columns import FacetColumns
from storage.pictures import KM_PER_DEGREE


@dataclass(frozen=True)
class Cluster:
    """Pictures taken near each other; all of them lie within `km` of the point."""

    latitude: float
    longitude: float
    km: float
    count: int


def clusters_of(columns: FacetColumns, rows: NDArray[np.bool_], step: float) -> tuple[Cluster, ...]:
    """Clusters over a grid of `step` degrees, the largest first."""
    there = rows & ~np.isnan(columns.latitudes) & ~np.isnan(columns.longitudes)
    if not there.any():
        return ()
    points = np.stack([columns.latitudes[there], columns.longitudes[there]])
    south, west = (np.round(points.min(axis=1) / step)).astype(np.int64)
    across = int(360 / step) + 2
    cells = np.round(points / step).astype(np.int32)
    cell_of = (cells[0] - south) * across + cells[1] - west
    counts = np.bincount(cell_of)
    sums = [np.bincount(cell_of, weights=degrees) for degrees in points]
    least = np.full((2, len(counts)), np.inf)
    most = -least
    for axis, degrees in enumerate(points):
        np.minimum.at(least[axis], cell_of, degrees)
        np.maximum.at(most[axis], cell_of, degrees)
    clusters = [
        _cluster(
            [sums[0][at] / counts[at], sums[1][at] / counts[at]],
            [most[0][at] - least[0][at], most[1][at] - least[1][at]],
            int(counts[at]),
        )
        for at in np.nonzero(counts)[0].tolist()
    ]
    return tuple(sorted(clusters, key=lambda cluster: -cluster.count))


def _cluster(middle: Sequence[float], span: Sequence[float], count: int) -> Cluster:
    latitude, longitude = (round(float(each), 3) for each in middle)
    wide = float(span[1]) * max(cos(radians(latitude)), 0.01)
    km = float(np.hypot(float(span[0]), wide)) * KM_PER_DEGREE
    return Cluster(latitude, longitude, max(5.0, float(round(km + 1))), count)
