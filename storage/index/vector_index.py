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


def make_index(dim: int) -> tuple[faiss.Index, str]:
    """An empty index, and its kind: the one place where it is chosen.

    float16 scalar quantizer, scanned exhaustively: the shards hold float16, so its scores are
    those of the stored embeddings to the last bit, at half the memory of float32. For the sizes
    at which an exhaustive scan gets slow, see docs/design.md.
    """
    flat = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    return faiss.IndexIDMap2(flat), "exact-float16"


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
    index, kind = make_index(dim)
    for image_ids, embeddings in blocks:
        index.add_with_ids(np.ascontiguousarray(embeddings, dtype=np.float32), image_ids)
    now = datetime.now(UTC)
    manifest = Manifest(
        generation=f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
        fingerprint=fingerprint,
        kind=kind,
        dim=dim,
        count=index.ntotal,
        last_shard_id=last_shard_id,
        created_at=now.isoformat(timespec="seconds"),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(
        folder / f"{manifest.generation}.faiss", lambda to: faiss.write_index(index, str(to))
    )
    text = json.dumps(asdict(manifest), indent=1)
    write_atomic(folder / MANIFEST, lambda to: to.write_text(text))
    _remove_old(folder, manifest.generation)
    return manifest


def _remove_old(folder: Path, current: str) -> None:
    for path in folder.glob("*.faiss"):
        if path.stem != current:
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
