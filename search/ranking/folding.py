"""Pictures that are much alike, folded into the first of them in the ranking.

Near duplicates by their perceptual hashes; bursts by camera, folder, time and embedding. As every
picture joins one that is ranked above it, more pictures behind change nothing before them: pages
of a folded ranking neither repeat nor skip.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.ranking.cursor import Cursor
from search.ranking.looks import looks_of
from storage.duplicates import group_near_duplicates
from storage.index.snapshot import Nearest, Snapshot
from storage.library import Library
from storage.pictures import get_images
from storage.records import ImageRecord

BURST_SECONDS = 3.0
"""Between two pictures of a burst."""
BURST_COSINE = 0.9
"""Of a picture of a burst with the one that stands for it."""
LOOKED_AT = 60
"""Pictures of the ranking that are folded at the least, so that counts mean something."""


class Order(Protocol):
    """An order of pictures that can be asked for its beginning, and where a cursor stands."""

    def first(self, count: int) -> Nearest: ...
    def is_behind(self, found: Nearest, after: Cursor) -> NDArray[np.bool_]: ...


class FoldedOrder:
    """Another order, with one picture for all that are much alike."""

    def __init__(self, order: Order, snapshot: Snapshot, library: Library) -> None:
        self._order = order
        self._snapshot = snapshot
        self._engine = library.engine
        self._looks = looks_of(library)
        self.folded: Mapping[int, int] = {}
        """Image id → pictures folded into it, among those looked at by `first`."""

    def first(self, count: int) -> Nearest:
        looked_at = max(2 * count, LOOKED_AT)
        while True:
            found = self._order.first(looked_at)
            ids = found.image_ids.tolist()
            stands_for = self._fold(ids)
            shown = np.array([stands_for[each] == each for each in ids], dtype=np.bool_)
            if shown.sum() >= count or len(ids) < looked_at:
                break
            looked_at *= 2
        counts: dict[int, int] = defaultdict(int)
        for each in ids:
            counts[stands_for[each]] += each != stands_for[each]
        self.folded = counts
        return Nearest(found.image_ids[shown][:count], found.scores[shown][:count], found.exact)

    def is_behind(self, found: Nearest, after: Cursor) -> NDArray[np.bool_]:
        return self._order.is_behind(found, after)

    def _fold(self, image_ids: Sequence[int]) -> dict[int, int]:
        """Image id → the one that stands for it."""
        alike = group_near_duplicates(self._engine, image_ids, self._looks)
        first = [each for each in image_ids if alike[each] == each]
        burst = self._bursts(first)
        return {each: burst[alike[each]] for each in image_ids}

    def _bursts(self, image_ids: Sequence[int]) -> dict[int, int]:
        images = get_images(self._engine, image_ids)
        bursts: dict[tuple[str, str, str], list[_Burst]] = defaultdict(list)
        stands_for = {}
        for image_id in image_ids:
            image = images.get(image_id)
            taken = _taken_to_the_second(image)
            stands_for[image_id] = image_id
            if image is None or taken is None:
                continue
            same_source = bursts[image.camera or "", image.collection, _folder(image)]
            for burst in same_source:
                if burst.is_near(taken) and self._are_alike(burst.first, image_id):
                    burst.taken.append(taken)
                    stands_for[image_id] = burst.first
                    break
            else:
                same_source.append(_Burst(image_id, [taken]))
        return stands_for

    def _are_alike(self, one: int, other: int) -> bool:
        first, second = self._snapshot.embedding(one), self._snapshot.embedding(other)
        if first is None or second is None:
            return False
        return bool(float(first @ second) >= BURST_COSINE)


@dataclass
class _Burst:
    first: int
    taken: list[datetime]

    def is_near(self, taken: datetime) -> bool:
        return any(abs((taken - each).total_seconds()) <= BURST_SECONDS for each in self.taken)


def _folder(image: ImageRecord) -> str:
    return image.path.rpartition("/")[0]


def _taken_to_the_second(image: ImageRecord | None) -> datetime | None:
    """None for a date alone, which is that of the file."""
    if image is None or image.taken_at is None or "T" not in image.taken_at:
        return None
    return datetime.fromisoformat(image.taken_at).replace(tzinfo=None)
