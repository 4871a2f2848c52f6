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
    kind = kind_of(count, dim)
    if kind == CODED:
        _write_beside(folder, generation, codes_path(folder, generation))
    elif has_bytes(kind, count):
        _write_beside(folder, generation, bytes_path(folder, generation))
    manifest = Manifest(
        generation=generation,
        fingerprint=fingerprint,
        kind=kind,
        dim=dim,
        count=count,
        last_shard_id=last_shard_id,
        created_at=now.isoformat(timespec="seconds"),
    )
    text = json.dumps(asdict(manifest), indent=1)
    write_atomic(folder / MANIFEST, lambda to: to.write_text(text))
    _remove_old(folder, manifest.generation)
    return manifest


def codes_path(folder: Path, generation: str) -> Path:
    """Of a generation whose kind is CODED."""
    return folder / f"{generation}.codes.faiss"


def bytes_path(folder: Path, generation: str) -> Path:
    """Of a generation that has bytes."""
    return folder / f"{generation}.bytes.faiss"


def _write_beside(folder: Path, generation: str, beside: Path) -> None:
    path = folder / f"{generation}.faiss"
    write = write_codes if beside == codes_path(folder, generation) else write_bytes
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


def load_codes_of(folder: Path, manifest: Manifest) -> Codes | None:
    """The codes beside the generation's index; None without any, or when they are damaged."""
    codes = load_codes(codes_path(folder, manifest.generation)) if manifest.kind == CODED else None
    return codes if codes and codes.shape == (manifest.count, manifest.dim) else None


def load_bytes_of(folder: Path, manifest: Manifest) -> QuickScan | None:
    """The bytes beside the generation's index; None without any, or when they are damaged."""
    if not has_bytes(manifest.kind, manifest.count):
        return None
    return open_bytes(bytes_path(folder, manifest.generation), manifest.count, manifest.dim)


def is_as_chosen(folder: Path, manifest: Manifest) -> bool:
    """Whether the generation can be read, and has beside it what it would get today."""
    if load_index(folder, manifest) is None:
        return False
    if has_bytes(manifest.kind, manifest.count) and load_bytes_of(folder, manifest) is None:
        return False
    wants_codes = CODED in (manifest.kind, kind_of(manifest.count, manifest.dim))
    return not wants_codes or load_codes_of(folder, manifest) is not None


def open_index(folder: Path, manifest: Manifest) -> LoadedIndex | None:
    """What searches the generation; None when its file is missing or damaged."""
    loaded = load_index(folder, manifest)
    if loaded is None:
        return None
    codes = load_codes_of(folder, manifest)
    if codes is not None:
        return LargeIndex(loaded, codes=codes)
    return LoadedIndex(loaded, load_bytes_of(folder, manifest))
