"""Is the library what it must be? Looks at all of it and changes nothing; `repair.py` mends."""

import os
import shlex
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from storage.catalog.schema import Counter, Embedding, Image, Location, Root
from storage.library import Library
from storage.records import SpaceRecord
from storage.spaces import all_spaces
from storage.thumbnails import STORED_SIDE
from storage.upkeep.doctor_embeddings import SpaceCheck, check_space
from storage.upkeep.leftovers import leftovers
from storage.words.word_rows import count_stale_words, words_are_damaged

AWAITS_INDEXING = "not_embedded"
"""The one kind that no repair ends: only the encoder can, in the next `index`."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it must be."""

    kind: str
    what: str
    remedy: str
    harmless: bool = False
    """It merely takes room, and goes by itself with the next writer."""


@dataclass
class Diagnosis:
    findings: list[Finding] = field(default_factory=list)
    catalog_is_sound: bool = True
    """Otherwise nothing else was looked at: all of it rests on the catalog."""
    pictures: int = 0
    thumbnails_missing: int = 0
    """Derived and made on demand, so no finding."""
    spaces: list[SpaceCheck] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return all(finding.harmless for finding in self.findings)

    @property
    def only_awaits_indexing(self) -> bool:
        return all(each.harmless or each.kind == AWAITS_INDEXING for each in self.findings)

    @property
    def is_out_of_reach(self) -> bool:
        """What can't be read is not lost: a repair by the wrong user must let go of nothing."""
        return any(each.kind == "rights" for each in self.findings)

    def add(self, kind: str, what: str, remedy: str, *, harmless: bool = False) -> None:
        self.findings.append(Finding(kind, what, remedy, harmless))


def examine(library: Library, *, alone: bool = False) -> Diagnosis:
    """Check every invariant. Reads each shard once, and stats each thumbnail.

    alone: the caller holds the write lock, so that no file can be in the making.
    """
    found = Diagnosis()
    _check_rights(library, found)
    _check_database(library.engine, found)
    if found.is_out_of_reach or not found.catalog_is_sound:
        return found
    _check_counters(library.engine, found)
    _check_images(library.engine, found)
    _check_words(library.engine, found)
    for space in all_spaces(library.engine):
        shards, index = library.shard_folder(space), library.index_folder(space)
        checked = check_space(library.engine, space, shards, index)
        found.spaces.append(checked)
        for kind, what in checked.faults:
            found.add(kind, what, _REMEDIES[kind])
    _check_embedded(library, found)
    _check_golden(library, found)
    found.thumbnails_missing = _count_missing_thumbnails(library)
    found.leftovers = leftovers(library, alone=alone)
    for path in found.leftovers:
        what = f"{path} belongs to nothing: a process that was killed left it."
        remedy = "It does no harm; --repair removes it, as the next index does with most."
        found.add("leftover", what, remedy, harmless=True)
    return found


_RIGHTS = (
    "Give your user the rights to it, or run as its owner; until then nothing more can be looked "
    "at, and --repair does nothing."
)
_EMBED_AGAIN = (
    "Restore it from a backup; or let --repair take it out, and index the pictures again: "
    "those whose embeddings it held are embedded anew."
)
_REBUILD = "--repair builds the index anew from the embeddings; nothing is lost."
_REMEDIES = {
    "shard_missing": _EMBED_AGAIN,
    "shard_damaged": _EMBED_AGAIN,
    "embedding_misplaced": "--repair lets these go; index the pictures again to embed them anew.",
    "index_damaged": _REBUILD,
    "index_mismatch": _REBUILD,
    "index_incomplete": _REBUILD,
    "index_wrong": _REBUILD,
}


def _check_rights(library: Library, found: Diagnosis) -> None:
    home = library.data_dir
    spaces = _spaces_if_readable(library.engine)
    holding = [library.shard_folder(space) for space in spaces]
    holding += [library.index_folder(space) for space in spaces]
    names = ("embeddings", "index", "thumbnails", "golden")
    for folder in [home, *(home / name for name in names), *holding]:
        if os.path.exists(folder) and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):  # noqa: PTH110
            found.add("rights", f"{folder} can't be read and written by this user.", _RIGHTS)
    for folder in holding:
        if os.access(folder, os.R_OK | os.X_OK):
            locked = [path for path in folder.iterdir() if not os.access(path, os.R_OK)]
            if locked:
                what = f"{len(locked):,} files can't be read by this user, {locked[0]} for one."
                found.add("rights", what, _RIGHTS)


def _spaces_if_readable(engine: Engine) -> list[SpaceRecord]:
    try:
        return all_spaces(engine)
    except DBAPIError:  # `_check_database` says so
        return []


def _check_database(engine: Engine, found: Diagnosis) -> None:
    if engine.dialect.name != "sqlite":  # others look after themselves
        return
    restore = (
        "Restore catalog.db from a backup (with catalog.db-wal, if there is one). Without one, "
        "index the pictures into a new library with --data-dir."
    )
    try:
        with engine.connect() as connection:
            problems = list(connection.execute(text("PRAGMA integrity_check")).scalars())
            dangling = connection.execute(text("PRAGMA foreign_key_check")).all()
    except DBAPIError as error:
        problems, dangling = [str(error.orig)], []
    if problems != ["ok"]:
        found.catalog_is_sound = False
        what = f"The catalog's database is damaged: {'; '.join(problems[:3])}."
        found.add("catalog_damaged", what, restore)
        return
    tables: dict[tuple[str, str], int] = {}
    for row in dangling:
        tables[row[0], row[2]] = tables.get((row[0], row[2]), 0) + 1
    for (table, parent), count in tables.items():
        what = f"{count:,} rows of the catalog's table {table} refer to no {parent}."
        if table in ("embedding", "location", "failure", "image_text"):
            remedy = "--repair removes them; index the pictures again to bring back what is there."
        else:
            remedy = restore
        found.add("dangling_rows", what, remedy)


def _check_counters(engine: Engine, found: Diagnosis) -> None:
    with engine.connect() as connection:
        rows = connection.execute(select(Counter.name, Counter.value))
        counters = {row.name: row.value for row in rows}
        highest = connection.execute(select(func.max(Image.id))).scalar() or 0
    if counters.get("image_id", -1) < highest or "commit" not in counters:
        what = f"The catalog's counters are behind: picture {highest} has been given out already."
        found.add("counters", what, "--repair sets them right.")


def _check_images(engine: Engine, found: Diagnosis) -> None:
    held = select(Location.image_id)
    live = Image.deleted_at.is_(None)
    with engine.connect() as connection:

        def count(*conditions: object) -> int:
            query = select(func.count()).select_from(Image).where(*conditions)  # type: ignore[arg-type]
            return int(connection.execute(query).scalar_one())

        found.pictures = count(live)
        unheld = count(live, Image.id.not_in(held))
        unmasked = count(~live, Image.id.in_(held))
    if unheld:
        what = f"{unheld:,} pictures are shown though no file holds them."
        found.add("without_file", what, "--repair masks them; files that are there come back with "
                  "the next index.")  # fmt: skip
    if unmasked:
        what = f"{unmasked:,} pictures are masked as deleted though a file holds them."
        found.add("wrongly_masked", what, "--repair brings them back.")


def _check_words(engine: Engine, found: Diagnosis) -> None:
    remedy = "--repair makes it anew from the catalog (index brings in what is merely missing)."
    stale = count_stale_words(engine)
    if stale:
        what = f"The text index has not the words of {stale:,} pictures as the catalog has them."
        found.add("words_stale", what, remedy)
    elif words_are_damaged(engine):
        found.add("words_stale", "The text index is damaged.", remedy)


def _check_embedded(library: Library, found: Diagnosis) -> None:
    space = library.active_space()
    if space is None:
        return
    embedded = select(Embedding.image_id).where(Embedding.space_id == space.id)
    query = (
        select(Root.path, func.count(Image.id.distinct()))
        .select_from(Image)
        .join(Location, Location.image_id == Image.id)
        .join(Root, Root.id == Location.root_id)
        .where(Image.deleted_at.is_(None), Image.id.not_in(embedded))
        .group_by(Root.path)
        .order_by(Root.path)
    )
    with library.engine.connect() as connection:
        rows = [(row[0], row[1]) for row in connection.execute(query)]
    for root, count in rows:
        what = f"{count:,} pictures below {root} have no embedding, so no search finds them."
        found.add(AWAITS_INDEXING, what, f"Index them again: polyglance index {shlex.quote(root)}")


def _check_golden(library: Library, found: Diagnosis) -> None:
    for space in all_spaces(library.engine):
        name = space.fingerprint[:16]
        record = library.data_dir / "golden" / f"{name}.npz"
        if not _npz_is_readable(record):
            what = f"{record} is damaged: what the model's self-test compares with."
            remedy = (
                "Restore it from a backup. If searches still find the right pictures you may "
                "delete it: the next start records it anew."
            )
            found.add("golden_damaged", what, remedy)
        if not _npz_is_readable(background_file(library, space)):
            what = f"{background_file(library, space)} is damaged: what relevance is judged by."
            found.add("background_damaged", what, "--repair deletes it; it is made anew on need.")


def background_file(library: Library, space: SpaceRecord) -> Path:
    return library.data_dir / "golden" / f"{space.fingerprint[:16]}-background.npz"


def _npz_is_readable(path: Path) -> bool:
    """True for a file that is not there: it is made on need."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return all(stored[name].size >= 0 for name in stored)
    except FileNotFoundError:
        return True
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return False


def _count_missing_thumbnails(library: Library) -> int:
    query = select(Image.sha256).where(Image.deleted_at.is_(None))
    with library.engine.connect() as connection:
        digests = connection.execute(query).scalars()
        return sum(not library.thumbnails.has(sha256, STORED_SIDE) for sha256 in digests)
