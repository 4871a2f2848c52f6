"""Reading embeddings that were made here or elsewhere, block by block, with bounded memory."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.catalog.column_types import text_to_path
from storage.exchange.errors import ExchangeError
from storage.exchange.writing import CHECKPOINT, EMBEDDINGS_NPY, FINGERPRINT, IMAGES_JSONL
from storage.records import PictureText

BLOCK_ROWS = 1000
LENGTH_TOLERANCE = 0.01
"""Rows of length 1 that were rounded to float16 are off by less."""


@dataclass(frozen=True)
class IncomingPicture:
    path: str
    root: str | None = None
    sha256: bytes | None = None
    """Of the file that was embedded, where it is known."""
    collection: str | None = None
    texts: tuple[PictureText, ...] = ()


@dataclass(frozen=True)
class Block:
    pictures: list[IncomingPicture]
    embeddings: NDArray[np.float32]
    """(n, dim) of L2 norm 1."""


class Incoming(ABC):
    """Files of embeddings. Reading them raises ExchangeError, which names the file."""

    fingerprint: str | None = None
    """The space that the embeddings are of, where the files say so."""
    checkpoint: str | None = None

    @abstractmethod
    def blocks(self, dim: int) -> Iterator[Block]:
        """All rows, in order, checked: `dim` numbers each, finite, of length 1."""


def open_incoming(source: Path) -> Incoming:
    """Raises ExchangeError."""
    if source.is_file():
        return IncomingParquet(source)
    if (source / "img_emb").is_dir():
        return IncomingClipRetrieval(source)
    if (source / EMBEDDINGS_NPY).is_file():
        return IncomingNpy(source)
    if not source.exists():
        raise ExchangeError(f"{source}: there is no such file or folder.")
    raise ExchangeError(
        f"{source} holds no embeddings that can be read: it should be a Parquet file with a column "
        f"`embedding`, a clip-retrieval folder (img_emb/, metadata/), or a folder with "
        f"{EMBEDDINGS_NPY} and {IMAGES_JSONL}."
    )


class IncomingParquet(Incoming):
    """Needs the columns `image_path` and `embedding`; ours have more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _open_parquet(path) as file:
            schema = file.schema_arrow
        missing = {"image_path", "embedding"} - set(schema.names)
        if missing:
            raise ExchangeError(f"{path} has no column {' and no column '.join(sorted(missing))}.")
        marks: Mapping[bytes, bytes] = schema.metadata or {}
        fingerprint, checkpoint = marks.get(FINGERPRINT), marks.get(CHECKPOINT)
        self.fingerprint = fingerprint.decode() if fingerprint else None
        self.checkpoint = checkpoint.decode() if checkpoint else None

    def blocks(self, dim: int) -> Iterator[Block]:
        first = 0
        for batch in _parquet_batches(self._path):
            rows = batch.drop_columns(["embedding"]).to_pylist()
            embeddings = _numbers(batch["embedding"], self._path)
            pictures = [_picture(row, self._path) for row in rows]
            yield Block(pictures, checked(embeddings, dim, self._path, first))
            first += len(rows)


class IncomingClipRetrieval(Incoming):
    """`img_emb/img_emb_0.npy`, … and `metadata/metadata_0.parquet`, …: part by part."""

    def __init__(self, folder: Path) -> None:
        parts = sorted((folder / "img_emb").glob("img_emb_*.npy"))
        if not parts:
            raise ExchangeError(f"{folder / 'img_emb'} holds no img_emb_*.npy.")
        self._parts: list[tuple[Path, Path]] = []
        for part in parts:
            number = part.stem.removeprefix("img_emb_")
            metadata = folder / "metadata" / f"metadata_{number}.parquet"
            if not metadata.is_file():
                raise ExchangeError(
                    f"{metadata} is missing, which says whose embeddings {part} is."
                )
            with _open_parquet(metadata) as file:
                if "image_path" not in file.schema_arrow.names:
                    raise ExchangeError(f"{metadata} has no column image_path.")
                _require_as_many(part, len(_open_array(part)), metadata, file.metadata.num_rows)
            self._parts.append((part, metadata))

    def blocks(self, dim: int) -> Iterator[Block]:
        for part, metadata in self._parts:
            embeddings = _open_array(part)
            first = 0
            for batch in _parquet_batches(metadata):
                rows = batch.to_pylist()
                block = embeddings[first : first + len(rows)]
                pictures = [_picture(row, metadata) for row in rows]
                yield Block(pictures, checked(block, dim, part, first))
                first += len(rows)


class IncomingNpy(Incoming):
    """`embeddings.npy` and a line of JSON for each of its rows."""

    def __init__(self, folder: Path) -> None:
        self._array, self._lines = folder / EMBEDDINGS_NPY, folder / IMAGES_JSONL
        try:
            with self._lines.open("rb") as lines:
                count = sum(1 for _ in lines)
        except OSError as error:
            raise ExchangeError(f"{self._lines} can't be read: {error.strerror}.") from error
        _require_as_many(self._array, len(_open_array(self._array)), self._lines, count)

    def blocks(self, dim: int) -> Iterator[Block]:
        embeddings = _open_array(self._array)
        first = 0
        with self._lines.open(encoding="utf-8") as lines:
            while block := list(islice(lines, BLOCK_ROWS)):
                try:
                    rows = [json.loads(line) for line in block]
                except ValueError as error:
                    raise ExchangeError(
                        f"{self._lines} is not JSON, line by line: {error}"
                    ) from None
                pictures = [_picture(row, self._lines) for row in rows]
                part = embeddings[first : first + len(block)]
                yield Block(pictures, checked(part, dim, self._array, first))
                first += len(block)


def checked(embeddings: NDArray[Any], dim: int, path: Path, first: int) -> NDArray[np.float32]:
    """Rows as the library stores them. first: the number of the first one in its file."""
    if embeddings.ndim != 2 or embeddings.shape[1] != dim:
        raise ExchangeError(
            f"{path} has rows of {embeddings.shape[-1]} numbers; the library's model makes {dim}. "
            "They come from another model."
        )
    rows = embeddings.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1)
    if not np.isfinite(lengths).all():
        row = first + int(np.argmin(np.isfinite(lengths)))
        raise ExchangeError(f"{path}: row {row} has something in it that is no number (NaN).")
    wrong = np.abs(lengths - 1) > LENGTH_TOLERANCE
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ExchangeError(
            f"{path}: row {first + at} has the length {lengths[at]:.3f}, not 1. Normalise the "
            "embeddings (L2) before importing them."
        )
    unit: NDArray[np.float32] = rows / lengths[:, np.newaxis]
    return unit


def _require_as_many(array: Path, rows: int, facts: Path, others: int) -> None:
    if rows != others:
        raise ExchangeError(
            f"{array} has {rows:,} rows and {facts} {others:,}: whose embedding is which can't be "
            "told. Export both again."
        )


def _open_array(path: Path) -> NDArray[Any]:
    """Mapped into memory; what is not looked at is not read."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ExchangeError(f"{path} can't be read as .npy, or is cut short: {error}") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != "f":
        raise ExchangeError(f"{path} is no table of numbers with a row for each picture.")
    return array


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise ExchangeError(f"{path} can't be read as Parquet, or is cut short: {error}") from error


def _parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with _open_parquet(path) as file:
        try:
            yield from file.iter_batches(BLOCK_ROWS)
        except (OSError, pa.ArrowException) as error:
            raise ExchangeError(f"{path} can't be read to its end: {error}") from error


def _numbers(column: pa.Array, path: Path) -> NDArray[Any]:
    """A column of lists, all as long as each other → (n, dim)."""
    if column.null_count or not (
        pa.types.is_list(column.type)
        or pa.types.is_large_list(column.type)
        or pa.types.is_fixed_size_list(column.type)
    ):
        raise ExchangeError(f"{path}: the column embedding should hold a list in every row.")
    flat = column.flatten()
    if not pa.types.is_floating(flat.type) or flat.null_count or len(flat) % max(len(column), 1):
        raise ExchangeError(f"{path}: the column embedding should hold numbers, as many each.")
    lengths = column.value_lengths() if hasattr(column, "value_lengths") else None
    if lengths is not None and len(lengths.unique()) > 1:
        raise ExchangeError(f"{path}: the column embedding holds rows of several lengths.")
    values: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)


def _picture(row: Mapping[str, Any], path: Path) -> IncomingPicture:
    image_path = row.get("image_path")
    if not isinstance(image_path, str) or not image_path or "\0" in image_path:
        raise ExchangeError(f"{path}: a row has no image_path.")
    texts = [_text(each) for each in row.get("texts") or []]
    if isinstance(row.get("caption"), str) and row["caption"].strip():
        texts.append(PictureText("caption", row["caption"], "import"))
    sha256 = row.get("image_sha256") or row.get("sha256")
    root = row.get("image_root")
    try:
        return IncomingPicture(
            path=text_to_path(image_path),
            root=None if root is None else text_to_path(root),
            sha256=None if sha256 is None else bytes.fromhex(sha256),
            collection=row.get("collection"),
            texts=tuple(texts),
        )
    except (ValueError, TypeError) as error:
        raise ExchangeError(f"{path}: what it says of {image_path!r} is damaged: {error}") from None


def _text(given: Mapping[str, Any]) -> PictureText:
    return PictureText(given["kind"], given["text"], "import", given.get("language"))
