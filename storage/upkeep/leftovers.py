"""Files of a library that nothing needs any more."""

import time
from pathlib import Path

from storage.errors import LibraryBusy
from storage.index.vector_index import MANIFEST, path_beside, read_manifest
from storage.library import Library
from storage.lock import writer_lock
from storage.spaces import all_spaces

TEMPORARY_AGE_S = 3600
"""A server may be writing a thumbnail or a golden file right now; nobody takes an hour over it."""


def leftovers(library: Library, *, alone: bool) -> list[Path]:
    """Files of ours that nothing needs any more. Those of a writer at work are none."""
    candidates = _leftover_candidates(library)
    if alone or not candidates:
        return candidates
    try:
        with writer_lock(library.data_dir, "doctor"):
            return _leftover_candidates(library)
    except LibraryBusy:
        return []
    except OSError:  # read-only: nobody writes
        return candidates


def _leftover_candidates(library: Library) -> list[Path]:
    home = library.data_dir
    needed: set[Path] = set()
    for space in all_spaces(library.engine):
        shards, index = library.shard_folder(space), library.index_folder(space)
        needed |= {shards / name for _, name in library.shards(space)}
        needed.add(index / MANIFEST)
        manifest = read_manifest(index)
        if manifest is not None:
            needed.add(index / f"{manifest.generation}.faiss")
            beside = path_beside(index, manifest)
            if beside is not None:
                needed.add(beside)
    ours = [
        *home.glob("embeddings/*/part-*.parquet"),
        *home.glob("embeddings/*/.part-*.tmp"),
        *home.glob("index/*/*.faiss"),
        *home.glob(f"index/*/{MANIFEST}"),
        *home.glob("index/*/.*.tmp"),
    ]
    shared = [*home.glob("thumbnails/incoming/.*.tmp"), *home.glob("golden/.*.tmp")]
    return sorted({*(set(ours) - needed), *(path for path in shared if _is_old(path))})


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime >= TEMPORARY_AGE_S
    except FileNotFoundError:  # it has just got its name
        return False
