"""The FAISS index: derived from the shards, in generations, never on the path of a commit."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.atomic import write_atomic
from storage.index.byte_rows import open_bytes, write_bytes
from storage.index.codes import Codes, load_codes, write_codes
from storage.index.generation_file import write_index_file
from storage.index.kinds import CODED, has_bytes, kind_of, make_index
from storage.index.large_index import LargeIndex
from storage.index.loaded_index import LoadedIndex
from storage.index.mapped_parts import read_ahead
from storage.index.quick_scan import QuickScan

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What the current generation is. Renaming this file into place is what swaps generations."""

    generation: str
    fingerprint: str
    kind: str
    dim: int
    count: int
    last_shard_id: int
    """Every shard up to this one is in; later ones are the tail."""
    created_at: str


def build_generation(
    folder: Path,
    fingerprint: str,
    dim: int,
    blocks: Iterable[tuple[NDArray[np.int64], NDArray[np.float16]]],
    last_shard_id: int,
) -> Manifest:
    """Write a new generation beside the old one and swap it in.

    blocks: (n,) image ids and (n, dim) embeddings, no id twice.
    """
    empty = make_index(dim)
    now = datetime.now(UTC)
    generation = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    count = 0

    def write(to: Path) -> None:
        nonlocal count
        count = write_index_file(to, empty, blocks)

    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / f"{generation}.faiss", write)
    manifest = Manifest(
        generation=generation,
        fingerprint=fingerprint,
        kind=kind_of(count, dim),
        dim=dim,
        count=count,
        last_shard_id=last_shard_id,
        created_at=now.isoformat(timespec="seconds"),
    )
    _write_beside(folder, manifest)
    text = json.dumps(asdict(manifest), indent=1)
    write_atomic(folder / MANIFEST, lambda to: to.write_text(text))
    _remove_old(folder, manifest.generation)
    return manifest


def path_beside(folder: Path, manifest: Manifest) -> Path | None:
    """The codes or the bytes by which a generation is searched; None where its rows are."""
    if manifest.kind == CODED:
        return folder / f"{manifest.generation}.codes.faiss"
    if has_bytes(manifest.kind, manifest.count):
        return folder / f"{manifest.generation}.bytes.faiss"
    return None


def _write_beside(folder: Path, manifest: Manifest) -> None:
    path, beside = folder / f"{manifest.generation}.faiss", path_beside(folder, manifest)
    if beside is None:
        return
    write = write_codes if manifest.kind == CODED else write_bytes
    try:
        index = LoadedIndex(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC))
        write_atomic(beside, lambda to: write(to, index))
    except BaseException:
        path.unlink(missing_ok=True)  # large, and nothing would name it
        raise


def _remove_old(folder: Path, current: str) -> None:
    for path in folder.glob("*.faiss"):
        if path.name.split(".")[0] != current:
            path.unlink(missing_ok=True)  # whoever has it open keeps it


def read_manifest(folder: Path) -> Manifest | None:
    """None when there is no generation, or none that can be read: it is built anew then."""
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # damaged, or of another version; derived, so not an error
        return None


def load_index(folder: Path, manifest: Manifest) -> faiss.Index | None:
    """The generation's index, mapped into memory; None when its file is missing or damaged."""
    path = folder / f"{manifest.generation}.faiss"
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError:  # how FAISS reports a missing or broken file
        return None
    if index.d != manifest.dim or index.ntotal != manifest.count:
        return None
    return index


def load_beside(folder: Path, manifest: Manifest) -> Codes | QuickScan | None:
    """What lies beside the generation's index, mapped; None without it, or when it is damaged."""
    path = path_beside(folder, manifest)
    if path is None:
        return None
    if manifest.kind != CODED:
        return open_bytes(path, manifest.count, manifest.dim)
    codes = load_codes(path)
    return codes if codes and codes.shape == (manifest.count, manifest.dim) else None


def is_as_chosen(folder: Path, manifest: Manifest) -> bool:
    """Whether the generation can be read, and has beside it what it would get today."""
    if load_index(folder, manifest) is None:
        return False
    if manifest.kind != CODED and kind_of(manifest.count, manifest.dim) == CODED:
        return False
    has_nothing_beside = path_beside(folder, manifest) is None
    return has_nothing_beside or load_beside(folder, manifest) is not None


def open_index(folder: Path, manifest: Manifest) -> LoadedIndex | None:
    """What searches the generation; None when its file is missing or damaged."""
    loaded = load_index(folder, manifest)
    if loaded is None:
        return None
    path, beside = path_beside(folder, manifest), load_beside(folder, manifest)
    if path is not None and beside is not None:
        read_ahead(path)
    if isinstance(beside, Codes):
        return LargeIndex(loaded, codes=beside)
    return LoadedIndex(loaded, beside)
