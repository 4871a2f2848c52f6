"""Ids in ascending order, as sets."""

import numpy as np
from numpy.typing import NDArray


def are_among(ids: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) Which of `ids` there are. As np.isin, which would sort both."""
    at = np.searchsorted(ascending, ids)
    there: NDArray[np.bool_] = at < len(ascending)
    there[there] = ascending[at[there]] == ids[there]
    return there
