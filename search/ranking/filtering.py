"""Which pictures of a snapshot a filter lets through, kept while the library stays as it is.

Asking the catalog for most of a million ids takes several times as long as searching them.
"""

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from storage.ascending import are_among
from storage.index.snapshot import KEPT_FILTERS, Snapshot
from storage.pictures import filter_ids
from storage.records import PictureFilter

Ids = NDArray[np.int64]


class FilteredPictures:
    """Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._kept: OrderedDict[PictureFilter, tuple[Snapshot, Ids]] = OrderedDict()

    def of(self, chosen: PictureFilter, snapshot: Snapshot) -> Ids:
        """Ascending; the very same array for as long as it is kept."""
        with self._lock:
            of, ids = self._kept.get(chosen, (None, None))
            if of is snapshot and ids is not None:
                self._kept.move_to_end(chosen)
                return ids
        passing = filter_ids(self._engine, chosen)
        ids = passing[are_among(passing, snapshot.image_ids)]
        with self._lock:
            self._kept[chosen] = snapshot, ids
            # An older snapshot must not be held in memory by what was asked of it.
            for each in [each for each, (of, _) in self._kept.items() if of is not snapshot]:
                del self._kept[each]
            while len(self._kept) > KEPT_FILTERS:
                self._kept.popitem(last=False)
        return ids
