"""Mends what `doctor.py` finds, from what is sure; never touches the user's pictures."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from storage.catalog.schema import Counter, Embedding, Failure, Image, ImageText, Location, Shard
from storage.index.vector_index import MANIFEST
from storage.library import Library
from storage.lock import writer_lock
from storage.upkeep.doctor import Diagnosis, background_file, examine
from storage.upkeep.doctor_embeddings import SpaceCheck
from storage.words.word_rows import count_stale_words, rebuild_words
from storage.writer import LibraryWriter


@dataclass(frozen=True)
class Repaired:
    before: Diagnosis
    done: list[str]
    """What was done, a sentence each."""
    after: Diagnosis


def repair(library: Library) -> Repaired:
    """Examine, mend, and examine again, under the write lock. Raises LibraryBusy."""
    with writer_lock(library.data_dir, "doctor --repair"):
        before = examine(library, alone=True)
        mendable = before.catalog_is_sound and not before.is_out_of_reach
        done = _mend(library, before) if mendable else []
        return Repaired(before, done, examine(library, alone=True) if done else before)


def _mend(library: Library, found: Diagnosis) -> list[str]:
    """Killed after any step, what is left is a library that doctor mends as well."""
    done: list[str] = []
    kinds = {finding.kind for finding in found.findings}
    to_rebuild = [each for each in found.spaces if _must_rebuild(each, kinds)]
    for each in to_rebuild:
        # Without a manifest all is tail, and right; an index that covers shards which are un-named
        # would hide the next ones, which get their numbers.
        (library.index_folder(each.space) / MANIFEST).unlink(missing_ok=True)
    with library.engine.begin() as connection:
        for each in found.spaces:
            done += _let_go_of_lost(connection, each)
        if "dangling_rows" in kinds:
            done += _drop_dangling(connection)
        done += _settle_masks(connection)
        done += _set_counters(connection)
    # Asked anew: rows may have gone just before.
    if "words_stale" in kinds or count_stale_words(library.engine):
        rebuild_words(library.engine)
        done.append("Made the text index anew from the catalog.")
    for each in to_rebuild:
        writer = LibraryWriter(library.engine, library.shard_folder(each.space), each.space)
        manifest = library.fold(writer, force=True)
        assert manifest is not None
        done.append(
            f"Built the index of {each.space.checkpoint} anew: {manifest.count:,} pictures."
        )
    done += _remove_files(library, found, kinds)
    return done


def _must_rebuild(checked: SpaceCheck, kinds: set[str]) -> bool:
    changes = checked.damaged_shards or checked.misplaced or "dangling_rows" in kinds
    return bool(changes) or not checked.index_is_sound


def _let_go_of_lost(connection: Connection, checked: SpaceCheck) -> list[str]:
    done = []
    for shard_id, path in checked.damaged_shards:
        gone = connection.execute(delete(Embedding).where(Embedding.shard_id == shard_id))
        connection.execute(delete(Shard).where(Shard.id == shard_id))
        done.append(f"Took out {path.name}: {gone.rowcount:,} pictures are to be embedded again.")
    for shard_id, image_id in checked.misplaced:
        row = (Embedding.shard_id == shard_id) & (Embedding.image_id == image_id)
        connection.execute(delete(Embedding).where(row))
    if checked.misplaced:
        count = len(checked.misplaced)
        done.append(f"Let go of {count:,} misplaced embeddings: those are to be embedded again.")
    return done


def _drop_dangling(connection: Connection) -> list[str]:
    done = []
    for table in (Embedding, Location, Failure, ImageText):
        lost = [key.parent.not_in(select(key.column)) for key in table.__table__.foreign_keys]
        gone = connection.execute(delete(table).where(or_(*lost)))
        if gone.rowcount:
            done.append(
                f"Removed {gone.rowcount:,} rows of {table.__tablename__} that refer to nothing."
            )
    return done


def _settle_masks(connection: Connection) -> list[str]:
    """A picture is masked exactly when no file holds it."""
    held = select(Location.image_id)
    now = datetime.now(UTC)
    masked = connection.execute(
        update(Image)
        .where(Image.deleted_at.is_(None), Image.id.not_in(held))
        .values(deleted_at=now)
    ).rowcount
    unmasked = connection.execute(
        update(Image)
        .where(Image.deleted_at.is_not(None), Image.id.in_(held))
        .values(deleted_at=None)
    ).rowcount
    done = []
    if masked:
        done.append(f"Masked {masked:,} pictures that no file holds.")
    if unmasked:
        done.append(f"Brought back {unmasked:,} pictures that a file holds.")
    return done


def _set_counters(connection: Connection) -> list[str]:
    """Also counts a commit, so that running servers look again."""
    rows = connection.execute(select(Counter.name, Counter.value))
    counters = {row.name: row.value for row in rows}
    highest = connection.execute(select(func.max(Image.id))).scalar() or 0
    wanted = {
        "image_id": max(counters.get("image_id", 0), highest),
        "commit": counters.get("commit", 0) + 1,
    }
    for name, value in wanted.items():
        if name in counters:
            connection.execute(update(Counter).where(Counter.name == name).values(value=value))
        else:
            connection.execute(insert(Counter).values(name=name, value=value))
    if counters.get("image_id", -1) < highest or "commit" not in counters:
        return ["Set the catalog's counters right."]
    return []


def _remove_files(library: Library, found: Diagnosis, kinds: set[str]) -> list[str]:
    done = []
    for each in found.spaces:
        for _, path in each.damaged_shards:
            path.unlink(missing_ok=True)
        if "background_damaged" in kinds:
            background_file(library, each.space).unlink(missing_ok=True)
    if "background_damaged" in kinds:
        done.append("Deleted what relevance is judged by; it is made anew on need.")
    for path in found.leftovers:
        path.unlink(missing_ok=True)
    if found.leftovers:
        done.append(f"Removed {len(found.leftovers):,} files that belonged to nothing.")
    return done
