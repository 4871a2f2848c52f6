"""One space's embeddings: catalog against shards, and shards against the index."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, Row, select

from storage.catalog.schema import Embedding, Image, Shard
from storage.errors import LibraryDamaged
from storage.index.mapped_parts import is_as_written
from storage.index.shards import read_shard
from storage.index.vector_index import (
    MANIFEST,
    Manifest,
    load_beside,
    load_index,
    path_beside,
    read_manifest,
)
from storage.records import SpaceRecord

MIN_NORM, MAX_NORM = 0.99, 1.01
"""Of an embedding that was normalised and rounded to float16."""

MIN_COSINE = 0.99
"""Between an embedding in its shard and in the index, which may quantize it."""


@dataclass
class SpaceCheck:
    """What is wrong in one space, in words and as what a repair needs to know."""

    space: SpaceRecord
    faults: list[tuple[str, str]] = field(default_factory=list)
    """(kind, what)"""
    damaged_shards: list[tuple[int, Path]] = field(default_factory=list)
    """(shard id, file): missing, or not what was committed."""
    misplaced: list[tuple[int, int]] = field(default_factory=list)
    """(shard id, image id) of rows of `embedding` that lead to no embedding of that image."""
    index_is_sound: bool = True


@dataclass
class _Index:
    manifest: Manifest
    faiss_index: faiss.Index
    ids: NDArray[np.int64]
    """Ascending."""
    rows: NDArray[np.int64]
    """Where each of them stands."""
    named: list[NDArray[np.int64]] = field(default_factory=lambda: [np.empty(0, dtype=np.int64)])
    """What the catalog names, shard by shard, the tail's among them."""
    missing: int = 0
    wrong: int = 0


def check_space(
    engine: Engine, space: SpaceRecord, shard_folder: Path, index_folder: Path
) -> SpaceCheck:
    found = SpaceCheck(space)
    with engine.connect() as connection:
        shards = connection.execute(
            select(Shard).where(Shard.space_id == space.id).order_by(Shard.id)
        ).all()
    index = _open_index(found, index_folder, shards[-1].id if shards else 0)
    for shard in shards:
        image_ids, rows = _named_rows(engine, found, shard)
        embeddings = _check_shard(found, shard, shard_folder / shard.name, (image_ids, rows))
        if index is not None:
            _compare_with_index(index, shard.id, image_ids, embeddings)
    if index is not None:
        _judge_index(engine, found, index)
    return found


def _named_rows(
    engine: Engine, found: SpaceCheck, shard: Row[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) image ids and (n,) rows that the catalog says a shard holds of this space."""
    query = select(Embedding.space_id, Embedding.image_id, Embedding.row)
    with engine.connect() as connection:
        named = connection.execute(query.where(Embedding.shard_id == shard.id))
        table = np.array([tuple(row) for row in named], dtype=np.int64).reshape(-1, 3)
    own = table[:, 0] == found.space.id
    if not own.all():
        what = f"{(~own).sum():,} embeddings of another model are said to be in {shard.name}."
        found.faults.append(("embedding_misplaced", what))
        found.misplaced += [(shard.id, int(image_id)) for image_id in table[~own, 1]]
    return table[own, 1], table[own, 2]


def _check_shard(
    found: SpaceCheck,
    shard: Row[Any],
    path: Path,
    named: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.float16] | None:
    """(n, dim) embeddings of the images named; None when the shard or a row of it is faulty."""
    image_ids, rows = named
    held = f"; it holds the embeddings of {len(rows):,} pictures."
    if not path.is_file():
        found.faults.append(("shard_missing", f"The file of embeddings {path} is missing{held}"))
        found.damaged_shards.append((shard.id, path))
        return None
    try:
        there, embeddings = _read_verified(path, shard, found.space.dim)
    except LibraryDamaged as error:
        found.faults.append(("shard_damaged", f"{path} {error}{held}"))
        found.damaged_shards.append((shard.id, path))
        return None
    inside = (rows >= 0) & (rows < len(there))
    right = inside & (there[np.where(inside, rows, 0)] == image_ids)
    if not right.all():
        what = f"{(~right).sum():,} pictures are said to lie in {path}, at rows that are others'."
        found.faults.append(("embedding_misplaced", what))
        found.misplaced += [(shard.id, int(image_id)) for image_id in image_ids[~right]]
        return None
    return embeddings[rows]


def _read_verified(
    path: Path, shard: Row[Any], dim: int
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Raises LibraryDamaged with the rest of a sentence that begins with the file's name."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise LibraryDamaged(f"can't be read ({error.strerror})") from error
    if size_bytes != shard.size_bytes:
        raise LibraryDamaged(f"has {size_bytes:,} bytes, not the {shard.size_bytes:,} committed")
    if digest != shard.sha256:
        raise LibraryDamaged("has changed since it was committed (its SHA-256 is another)")
    image_ids, embeddings = read_shard(path.parent, path.name)
    if embeddings.shape != (shard.row_count, dim):
        shape = f"{embeddings.shape[0]:,} × {embeddings.shape[1]:,}"
        raise LibraryDamaged(f"holds {shape} numbers, not {shard.row_count:,} × {dim:,}")
    norms = np.linalg.norm(embeddings.astype(np.float32), axis=1)
    if not ((norms > MIN_NORM) & (norms < MAX_NORM)).all():
        raise LibraryDamaged("holds embeddings that are no unit vectors")
    return image_ids, embeddings


def _open_index(found: SpaceCheck, folder: Path, last_shard_id: int) -> _Index | None:
    """None when there is none (all is tail then, and in order), or when it is unusable."""
    manifest = read_manifest(folder)
    loaded = load_index(folder, manifest) if manifest else None
    if manifest is not None and loaded is None:  # a writer may have swapped it under our hands
        manifest = read_manifest(folder)
        loaded = load_index(folder, manifest) if manifest else None
    if manifest is None:
        if (folder / MANIFEST).exists():
            _fault_index(found, "index_damaged", f"{folder / MANIFEST} can't be read.")
        return None
    if loaded is None:
        path = folder / f"{manifest.generation}.faiss"
        _fault_index(found, "index_damaged", f"The index {path} is missing or damaged.")
        return None
    if (manifest.fingerprint, manifest.dim) != (found.space.fingerprint, found.space.dim):
        what = f"The index in {folder} is of another model than {found.space.checkpoint}."
        _fault_index(found, "index_mismatch", what)
        return None
    if manifest.last_shard_id > last_shard_id:
        # The next shards would take numbers that the index claims to cover: never searched.
        what = f"The index in {folder} covers embeddings that the catalog does not know."
        _fault_index(found, "index_mismatch", what)
    beside = path_beside(folder, manifest)
    if beside is not None and (load_beside(folder, manifest) is None or not is_as_written(beside)):
        what = f"{beside}, by which the index is searched, is missing or damaged."
        _fault_index(found, "index_damaged", what)
    ids: NDArray[np.int64] = faiss.vector_to_array(loaded.id_map)  # type: ignore[attr-defined]
    order = np.argsort(ids)
    return _Index(manifest, loaded, ids[order], order)


def _fault_index(found: SpaceCheck, kind: str, what: str) -> None:
    found.faults.append((kind, what))
    found.index_is_sound = False


def _compare_with_index(
    index: _Index,
    shard_id: int,
    image_ids: NDArray[np.int64],
    embeddings: NDArray[np.float16] | None,
) -> None:
    index.named.append(image_ids)
    if shard_id > index.manifest.last_shard_id:
        return
    there = np.isin(image_ids, index.ids)
    index.missing += int((~there).sum())
    if embeddings is None or not there.any():
        return
    rows = index.rows[np.searchsorted(index.ids, image_ids[there])]
    in_index = index.faiss_index.index.reconstruct_batch(rows)  # type: ignore[attr-defined]
    in_shard = embeddings[there].astype(np.float32)
    lengths = np.linalg.norm(in_index, axis=1) * np.linalg.norm(in_shard, axis=1)
    cosines = (in_index * in_shard).sum(axis=1) / np.maximum(lengths, 1e-12)
    index.wrong += int((~(cosines > MIN_COSINE)).sum())


def _judge_index(engine: Engine, found: SpaceCheck, index: _Index) -> None:
    """Missing embeddings lose hits, foreign ones add false hits. Of deleted pictures the index
    may hold some that the catalog has let go: they are masked until the next generation."""
    name = f"The index of {found.space.checkpoint}"
    extra = _not_deleted(engine, np.setdiff1d(index.ids, np.concatenate(index.named)))
    twice = len(index.ids) - len(np.unique(index.ids))
    if index.missing:
        what = f"{name} lacks {index.missing:,} embeddings that it should hold."
        _fault_index(found, "index_incomplete", what)
    if len(extra) or twice or index.wrong:
        what = (
            f"{name} holds {len(extra):,} embeddings that the catalog does not name, {twice:,} "
            f"twice, and {index.wrong:,} that differ from what was committed."
        )
        _fault_index(found, "index_wrong", what)


def _not_deleted(engine: Engine, image_ids: NDArray[np.int64]) -> Sequence[int]:
    with engine.connect() as connection:
        query = select(Image.id).where(Image.deleted_at.is_not(None))
        deleted = set(connection.execute(query).scalars())
    return [image_id for image_id in image_ids.tolist() if image_id not in deleted]
