"""Pictures that look the same, and files that are the same.

Two pictures look the same when few bits of their perceptual hashes differ, their sides are in the
same proportion and, where the caller can show what they look like, their looks agree.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import faiss
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, func, select

from storage.catalog.schema import Collection, Counter, Image, Location, Root
from storage.words.word_rows import SQL_CHUNK

SAME_PICTURE_BITS = 8
"""Of 64 that may differ. See imaging/perceptual.py for what was measured."""

SAYS_NOTHING = 0
"""The hash of pictures that are nearly one colour: never like another's."""

SAME_SHAPE = 0.01
"""Relative difference of the ratio of the sides, beyond what rounding to whole pixels makes."""

QUERIES = 64
"""Hashes looked up at once. Bounds the memory: all pictures may be like all of them."""
BLOCK = 64 * QUERIES


class Look(Protocol):
    def same_as(self, other: Any) -> bool: ...


Looks = Callable[[bytes], Look | None]
"""What a picture, by its sha256, looks like; None where that can't be told."""


@dataclass(frozen=True)
class DuplicatePicture:
    """A picture and every file that holds it, the first known first."""

    id: int
    width: int
    height: int
    format: str
    size_bytes: int
    files: tuple[Path, ...]


@dataclass(frozen=True)
class DuplicateGroup:
    """Pictures that look the same, the one of the most pixels and bytes first."""

    pictures: tuple[DuplicatePicture, ...]

    @property
    def is_exact(self) -> bool:
        """One picture in several files."""
        return len(self.pictures) == 1

    @property
    def files(self) -> int:
        return sum(len(picture.files) for picture in self.pictures)

    @property
    def spare_bytes(self) -> int:
        """What all files but one of the first picture take."""
        every = sum(len(picture.files) * picture.size_bytes for picture in self.pictures)
        return every - self.pictures[0].size_bytes


class _Hashed(NamedTuple):
    """Pictures that have a hash that says something. All of shape (n,)."""

    ids: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    widths: NDArray[np.int64]
    heights: NDArray[np.int64]

    def at(self, places: NDArray[np.intp]) -> "_Hashed":
        return _Hashed(
            self.ids[places], self.hashes[places], self.widths[places], self.heights[places]
        )

    def alike(self, place: int, others: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of `others` whose hash and shape are like that of `place`, the likest first."""
        bits = np.bitwise_count(self.hashes[others] ^ self.hashes[place])
        others, bits = others[bits <= SAME_PICTURE_BITS], bits[bits <= SAME_PICTURE_BITS]
        own_ratio, own_rounding = self._shape(place)
        ratios, rounding = self._shape(others)
        same = np.abs(ratios - own_ratio) <= SAME_SHAPE + rounding + own_rounding
        found: NDArray[np.intp] = others[same][np.argsort(bits[same], kind="stable")]
        return found

    def _shape(self, places: Any) -> tuple[Any, Any]:
        """Logarithm of the sides' ratio, and how far off rounding to pixels may have put it."""
        widths, heights = self.widths[places], self.heights[places]
        return np.log(widths / heights), 1 / widths + 1 / heights


def near_duplicates(engine: Engine, image_id: int, looks: Looks | None = None) -> list[int]:
    """Ids of other live pictures that look the same, the likest first."""
    every = _all_hashed(engine)
    [places] = np.nonzero(every.ids == image_id)
    if not len(places):
        return []
    confirm = _Confirm(engine, looks)
    others = np.delete(np.arange(len(every.ids)), places[0])
    found = every.ids[every.alike(int(places[0]), others)]
    return [int(other) for other in found if confirm(image_id, int(other))]


def group_near_duplicates(
    engine: Engine, image_ids: Sequence[int], looks: Looks | None = None
) -> dict[int, int]:
    """Image id → the first in the given order that looks the same, perhaps itself."""
    known = _hashed(engine, image_ids)
    place_of = {int(image_id): place for place, image_id in enumerate(known.ids)}
    ordered = [place_of[image_id] for image_id in image_ids if image_id in place_of]
    groups = _grouped(known.at(np.array(ordered, dtype=np.intp)), _Confirm(engine, looks))
    first = {member: members[0] for members in groups for member in members}
    return {image_id: first.get(image_id, image_id) for image_id in image_ids}


def duplicate_groups(
    engine: Engine,
    *,
    collection: str | None = None,
    looks: Looks | None = None,
    exact_only: bool = False,
) -> Iterator[DuplicateGroup]:
    """Pictures that look the same, then single pictures that several files hold.

    collection: only pictures and files of this one. exact_only: only files of the same bytes.
    """
    grouped: set[int] = set()
    if not exact_only:
        known = _hashed(engine, None, collection)
        pixels = known.widths * known.heights
        largest_first = known.at(np.lexsort((known.ids, -pixels)))
        for members in _grouped(largest_first, _Confirm(engine, looks)):
            grouped.update(members)
            yield _described(engine, members, collection)
    copies = (
        _in_collection(select(Location.image_id), collection)
        .group_by(Location.image_id)
        .having(func.count(Location.id) > 1)
        .order_by(Location.image_id)
    )
    with engine.connect() as connection:
        held_twice = list(connection.execute(copies).scalars())
    for image_id in held_twice:
        if image_id not in grouped:
            yield _described(engine, [image_id], collection)


def count_unhashed(engine: Engine) -> int:
    """Live pictures that were indexed before there were hashes."""
    query = select(func.count(Image.id))
    query = query.where(Image.deleted_at.is_(None), Image.perceptual_hash.is_(None))
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


class _Confirm:
    """Do two pictures whose hashes are close look the same? Yes, where nothing can tell."""

    def __init__(self, engine: Engine, looks: Looks | None) -> None:
        self._engine = engine
        self._looks = looks
        self._look = lru_cache(maxsize=4096)(self._look_now)

    def __call__(self, one: int, other: int) -> bool:
        if self._looks is None:
            return True
        first, second = self._look(one), self._look(other)
        return first is None or second is None or first.same_as(second)

    def _look_now(self, image_id: int) -> Look | None:
        assert self._looks is not None
        query = select(Image.sha256).where(Image.id == image_id)
        with self._engine.connect() as connection:
            sha256 = connection.execute(query).scalar()
        return None if sha256 is None else self._looks(sha256)


def _grouped(known: _Hashed, confirm: _Confirm) -> Iterator[list[int]]:
    """Groups of two and more: a picture and those after it, in the given order, that look like it.

    All are compared with all, by the hash; a million pictures take some minutes and the memory of
    their hashes. A picture is in one group at most.
    """
    codes = known.hashes.view(np.uint8).reshape(-1, 8)
    taken = np.zeros(len(known.ids), dtype=bool)
    for block in range(0, len(codes), BLOCK):
        later = faiss.IndexBinaryFlat(64)
        later.add(codes[block:])
        for start in range(block, min(block + BLOCK, len(codes)), QUERIES):
            asked = np.arange(start, min(start + QUERIES, len(codes)))
            asked = asked[~taken[asked]]
            if not len(asked):
                continue
            ends, _, found = later.range_search(codes[asked], SAME_PICTURE_BITS + 1)
            for which, place in enumerate(asked.tolist()):
                others = found[ends[which] : ends[which + 1]].astype(np.intp) + block
                others = np.sort(others[others > place])
                if taken[place] or not len(others):
                    continue
                group = [place]
                for other in known.alike(place, others[~taken[others]]).tolist():
                    if confirm(int(known.ids[place]), int(known.ids[other])):
                        group.append(other)
                taken[group] = True
                if len(group) > 1:
                    yield [int(known.ids[member]) for member in group]


_cache: WeakKeyDictionary[Engine, tuple[int, _Hashed]] = WeakKeyDictionary()
_cache_lock = threading.Lock()


def _all_hashed(engine: Engine) -> _Hashed:
    """Read again only when something was committed: a million rows take a second."""
    with _cache_lock:
        with engine.connect() as connection:
            query = select(Counter.value).where(Counter.name == "commit")
            commit = int(connection.execute(query).scalar_one())
        held = _cache.get(engine)
        if held is None or held[0] != commit:
            held = (commit, _hashed(engine, None))
            _cache[engine] = held
        return held[1]


def _hashed(
    engine: Engine, image_ids: Sequence[int] | None, collection: str | None = None
) -> _Hashed:
    """image_ids: None for all."""
    query = select(Image.id, Image.perceptual_hash, Image.width, Image.height).where(
        Image.deleted_at.is_(None), Image.perceptual_hash != SAYS_NOTHING
    )
    if collection is not None:
        query = query.where(Image.id.in_(_in_collection(select(Location.image_id), collection)))
    chunks: list[list[int] | None] = [None]
    if image_ids is not None:
        wanted = [int(image_id) for image_id in image_ids]
        chunks = [wanted[at : at + SQL_CHUNK] for at in range(0, len(wanted), SQL_CHUNK)]
    kind = np.dtype([("id", "i8"), ("hash", "i8"), ("width", "i8"), ("height", "i8")])
    parts = [np.empty(0, dtype=kind)]
    with engine.connect() as connection:
        for chunk in chunks:
            part = query if chunk is None else query.where(Image.id.in_(chunk))
            rows = connection.execute(part.order_by(Image.id))
            parts.append(np.fromiter((tuple(row) for row in rows), dtype=kind))
    table = np.concatenate(parts)
    return _Hashed(
        np.ascontiguousarray(table["id"]),
        np.ascontiguousarray(table["hash"]).view(np.uint64),
        np.ascontiguousarray(table["width"]),
        np.ascontiguousarray(table["height"]),
    )


def _in_collection(query: Any, collection: str | None) -> Any:
    if collection is None:
        return query
    return query.join(Collection, Collection.id == Location.collection_id).where(
        Collection.name == collection
    )


def _described(engine: Engine, image_ids: list[int], collection: str | None) -> DuplicateGroup:
    pictures = []
    with engine.connect() as connection:
        for image_id in image_ids:
            image = connection.execute(select(Image).where(Image.id == image_id)).one()
            held = select(Root.path.label("root"), Location.path).join(
                Root, Root.id == Location.root_id
            )
            held = _in_collection(held, collection).where(Location.image_id == image_id)
            files = connection.execute(held.order_by(Location.id)).all()
            pictures.append(
                DuplicatePicture(
                    image_id,
                    image.width,
                    image.height,
                    image.format,
                    image.size_bytes,
                    tuple(Path(file.root) / file.path for file in files),
                )
            )
    pictures.sort(key=lambda each: (-each.width * each.height, -each.size_bytes, each.id))
    return DuplicateGroup(tuple(pictures))
