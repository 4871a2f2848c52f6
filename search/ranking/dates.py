"""What is relevant, in the order of when it was taken: the newest first, without a date last."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from search.ranking.cursor import Cursor
from storage.index.snapshot import Nearest


class DateOrder:
    def __init__(self, relevant: Nearest, taken: Mapping[int, str | None]) -> None:
        """taken: of every one of the relevant pictures."""
        self._taken = {each: taken.get(each) or "" for each in relevant.image_ids.tolist()}
        ids = sorted(self._taken)
        ids.sort(key=self._taken.__getitem__, reverse=True)  # stable: ties stay in order of id
        score = dict(zip(relevant.image_ids.tolist(), relevant.scores.tolist(), strict=True))
        self._found = Nearest(
            np.array(ids, dtype=np.int64),
            np.array([score[each] for each in ids], dtype=np.float32),
            relevant.exact,
        )

    def __len__(self) -> int:
        return len(self._found.image_ids)

    def first(self, count: int) -> Nearest:
        found = self._found
        return Nearest(found.image_ids[:count], found.scores[:count], found.exact)

    def is_behind(self, found: Nearest, after: Cursor) -> NDArray[np.bool_]:
        date = after.date or ""
        return np.array(
            [
                self._taken[each] < date or (self._taken[each] == date and each > after.image_id)
                for each in found.image_ids.tolist()
            ],
            dtype=np.bool_,
        )

    def date_of(self, image_id: int) -> str:
        return self._taken[image_id]
