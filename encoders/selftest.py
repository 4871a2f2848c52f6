"""Does an encoder still do what it did when its library was built?

Embeddings that drift apart from those in the index don't fail, they only find the wrong
pictures. So at every start fixed texts and pictures are embedded again and compared with what
was recorded the first time; and what needs no record is checked too.
"""

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.errors import SelfTestFailed
from encoders.probes import PROBE_TEXTS, probe_pictures
from encoders.protocol import Embeddings, Encoder

MIN_COSINE = 0.999
"""Between two runs of one encoder. bfloat16 against float32 is above .9999."""

MAX_NORM_ERROR = 1e-3

Golden = dict[str, NDArray[np.float32]]
"""Recorded embeddings, each of shape (n, dim), by space and tower."""


class GoldenStore(Protocol):
    """Keeps recorded embeddings from one start to the next."""

    def load(self) -> Golden | None:
        """None if nothing was recorded yet."""

    def save(self, golden: Mapping[str, NDArray[np.float32]]) -> None: ...


class NpzGoldenStore:
    """An .npz file, replaced in one step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Golden | None:
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return dict(stored)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise SelfTestFailed(
                f"{self._path} is damaged ({error}). If the pictures found are still the right "
                "ones, delete it: the next start records it anew."
            ) from error

    def save(self, golden: Mapping[str, NDArray[np.float32]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".tmp", delete=False
        ) as temporary:
            written = Path(temporary.name)
            try:
                np.savez(temporary, allow_pickle=False, **golden)
            except BaseException:
                written.unlink()
                raise
        written.replace(self._path)


def run_self_test(encoder: Encoder, golden_store: GoldenStore) -> None:
    """Raise SelfTestFailed if a tower, the tokenizer or the padding is not what it was."""
    pictures = encoder.encode_images(probe_pictures())
    texts = encoder.encode_texts(list(PROBE_TEXTS))
    _check_shape("picture", encoder, pictures, len(probe_pictures()))
    _check_shape("text", encoder, texts, len(PROBE_TEXTS))
    _check_batching(encoder, pictures, texts)
    if encoder.ignores_case:
        _check_case(encoder, texts)
    _check_golden(encoder, golden_store, {"picture": pictures, "text": texts})


def _check_shape(tower: str, encoder: Encoder, embeddings: Embeddings, count: int) -> None:
    wanted = (count, encoder.space.dim)
    if embeddings.shape != wanted:
        raise _failed(encoder, tower, f"gives shape {embeddings.shape} instead of {wanted}")
    if not np.isfinite(embeddings).all():
        raise _failed(encoder, tower, "gives numbers that are not finite")
    error = float(np.abs(np.linalg.norm(embeddings, axis=1) - 1).max())
    if error > MAX_NORM_ERROR:
        raise _failed(encoder, tower, f"gives embeddings whose norm is off 1 by {error:.2g}")


def _check_batching(encoder: Encoder, pictures: Embeddings, texts: Embeddings) -> None:
    """What else is in a batch must not matter; it does when padding or its mask is wrong."""
    shortest = min(range(len(PROBE_TEXTS)), key=lambda i: len(PROBE_TEXTS[i]))
    alone = encoder.encode_texts([PROBE_TEXTS[shortest]])
    _check_same(encoder, "text", "depends on the other texts of its batch", alone, texts[shortest])
    alone = encoder.encode_images(probe_pictures()[:1])
    _check_same(encoder, "picture", "depends on the others of its batch", alone, pictures[0])


def _check_case(encoder: Encoder, texts: Embeddings) -> None:
    capitals = encoder.encode_texts([text.upper() for text in PROBE_TEXTS])
    _check_same(encoder, "text", "tells capitals from small letters", capitals, texts)


def _check_golden(encoder: Encoder, store: GoldenStore, found: dict[str, Embeddings]) -> None:
    """Compare with what was recorded for this space, or record it."""
    recorded = store.load() or {}
    fingerprint = encoder.space.fingerprint
    news = {}
    for tower, embeddings in found.items():
        key = f"{fingerprint}.{tower}"
        if key not in recorded:
            news[key] = embeddings
        elif recorded[key].shape != embeddings.shape:
            raise _failed(encoder, tower, "was recorded with other samples")
        else:
            complaint = "no longer gives the embeddings recorded with the library"
            _check_same(encoder, tower, complaint, embeddings, recorded[key])
    if news:
        store.save(recorded | news)


def _check_same(
    encoder: Encoder, tower: str, complaint: str, found: Embeddings, wanted: Embeddings
) -> None:
    cosine = float((found * wanted).sum(axis=-1).min())
    if not cosine >= MIN_COSINE:
        raise _failed(encoder, tower, f"{complaint} (cosine {cosine:.4f}, at least {MIN_COSINE})")


def _failed(encoder: Encoder, tower: str, complaint: str) -> SelfTestFailed:
    return SelfTestFailed(
        f"The {tower} tower of {encoder.space.checkpoint} {complaint}. Searching with it would "
        "find the wrong pictures. Undo the last update of torch, transformers or the checkpoint, "
        "or build the index again (polyglance reindex)."
    )
