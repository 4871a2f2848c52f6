"""Which pictures of the library captions are of."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import Engine

from storage.files import every_location


@dataclass(frozen=True)
class Captioned:
    """image_ids: by what captions call a picture; only names that mean one picture are here."""

    image_ids: dict[str, int]
    missing: tuple[str, ...]
    """Names that no file of the library ends with."""
    ambiguous: tuple[str, ...]
    """Names that several different pictures bear."""


def find_captioned(engine: Engine, names: Iterable[str]) -> Captioned:
    """names: paths, ends of paths in whole steps ("2024/a.jpg"), with or without the suffix.

    Copies of one picture are one picture. Of files that differ in their suffix alone, a name with
    a suffix means the one that has it.
    """
    asked = list(dict.fromkeys(names))
    by_last: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for name in asked:
        steps = tuple(step for step in PurePosixPath(name).parts if step not in {"/", "."})
        if steps:
            by_last[steps[-1]].append((name, steps))
    whole: dict[str, set[int]] = defaultdict(set)
    without_suffix: dict[str, set[int]] = defaultdict(set)
    for image_id, location in every_location(engine):
        path = PurePosixPath(location)
        for last, found in ((path.name, whole), (path.stem, without_suffix)):
            for name, steps in by_last.get(last, ()):
                if path.parts[-len(steps) : -1] == steps[:-1]:
                    found[name].add(image_id)
    image_ids = {name: whole.get(name) or without_suffix.get(name, set()) for name in asked}
    return Captioned(
        {name: next(iter(ids)) for name, ids in image_ids.items() if len(ids) == 1},
        missing=tuple(name for name, ids in image_ids.items() if not ids),
        ambiguous=tuple(name for name, ids in image_ids.items() if len(ids) > 1),
    )
