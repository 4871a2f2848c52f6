"""Writing a library's embeddings: one Parquet file, a clip-retrieval folder, or npy.

Whatever the size of the library, a page or a part of it is in memory at a time.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy
from numpy.typing import NDArray

from storage.atomic import write_atomic
from storage.catalog.column_types import path_to_text
from storage.exchange.errors import ExchangeError
from storage.exchange.outgoing import OutgoingPicture, Page, count_outgoing, outgoing
from storage.library import Library
from storage.records import SpaceRecord
from storage.sources.places import shown

FORMATS = ("parquet", "clip-retrieval", "npy")
PART_ROWS = 10_000
"""Pictures in one part of a clip-retrieval folder."""
FINGERPRINT, CHECKPOINT = b"polyglance.fingerprint", b"polyglance.checkpoint"
"""In the Parquet file's schema: which space the embeddings are of."""
TEXT = pa.struct([("kind", pa.string()), ("text", pa.string()), ("language", pa.string())])
EMBEDDINGS_NPY, IMAGES_JSONL = "embeddings.npy", "images.jsonl"


def export(
    library: Library,
    space: SpaceRecord,
    target: Path,
    kind: str,
    *,
    collection: str | None = None,
    force: bool = False,
) -> int:
    """Returns how many pictures went out. Raises ExchangeError; an existing file only gives way
    to a whole new one, and only when `force` says so."""
    _refuse_existing(target, kind, force)
    pages = outgoing(library, space, collection)
    if kind == "parquet":
        return _write_parquet(pages, space, target)
    if kind == "npy":
        return _write_npy(pages, space.dim, target)
    count = count_outgoing(library.engine, space.id, collection)
    return _write_clip_retrieval(pages, count, target)


def _refuse_existing(target: Path, kind: str, force: bool) -> None:
    folder = kind != "parquet"
    if not target.exists():
        return
    if target.is_dir() != folder:
        wanted = "a folder, not a file" if folder else "a file, not a folder"
        raise ExchangeError(f"{target}: the format {kind} makes {wanted}. Name another place.")
    if not force and (not folder or any(target.iterdir())):
        raise ExchangeError(
            f"{target} is there already. Name another place, or say --force to overwrite it."
        )


def _write_parquet(pages: Iterator[Page], space: SpaceRecord, target: Path) -> int:
    schema = _schema(space)
    count = 0

    def write(to: Path) -> None:
        nonlocal count
        with pq.ParquetWriter(to, schema, compression="zstd", use_dictionary=False) as writer:
            for page in pages:
                writer.write_table(_table(page, schema))
                count += len(page.pictures)

    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, write)
    return count


def _schema(space: SpaceRecord) -> pa.Schema:
    fields = [
        ("image_sha256", pa.string()),
        ("image_root", pa.string()),
        ("image_path", pa.string()),
        ("collection", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("size_bytes", pa.int64()),
        ("taken_at", pa.string()),
        ("camera", pa.string()),
        ("lens", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("texts", pa.list_(TEXT)),
        ("embedding", pa.list_(pa.float16(), space.dim)),
    ]
    marks = {FINGERPRINT: space.fingerprint, CHECKPOINT: space.checkpoint}
    return pa.schema(fields, metadata={name: value.encode() for name, value in marks.items()})


def _table(page: Page, schema: pa.Schema) -> pa.Table:
    rows = [_facts(picture) for picture in page.pictures]
    flat = pa.array(np.ascontiguousarray(page.embeddings).ravel(), pa.float16())
    columns = [
        pa.FixedSizeListArray.from_arrays(flat, page.embeddings.shape[1])
        if field.name == "embedding"
        else pa.array([row[field.name] for row in rows], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _facts(picture: OutgoingPicture) -> dict[str, Any]:
    return {
        "image_sha256": picture.sha256.hex(),
        "image_root": path_to_text(shown(picture.root)),
        "image_path": path_to_text(shown(picture.absolute)),
        "collection": picture.collection,
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "size_bytes": picture.size_bytes,
        "taken_at": picture.taken_at,
        "camera": picture.camera,
        "lens": picture.lens,
        "latitude": picture.latitude,
        "longitude": picture.longitude,
        "texts": [
            {"kind": each.kind, "text": each.text, "language": each.language}
            for each in picture.texts
        ],
    }


def _write_clip_retrieval(pages: Iterator[Page], expected: int, target: Path) -> int:
    """As clip-retrieval's own inference writes it: `img_emb/img_emb_0.npy` with float16 rows of
    length 1, and `metadata/metadata_0.parquet` with as many rows."""
    for old in (*target.glob("img_emb/img_emb_*.npy"), *target.glob("metadata/metadata_*.parquet")):
        old.unlink()
    digits = len(str(max(expected // PART_ROWS, 0)))
    count = 0
    for number, (pictures, embeddings) in enumerate(_parts(pages)):
        name = str(number).zfill(digits)
        metadata = pa.table(
            {
                "image_path": [path_to_text(shown(each.absolute)) for each in pictures],
                "caption": pa.array([each.caption for each in pictures], pa.string()),
                "sha256": [each.sha256.hex() for each in pictures],
            }
        )
        _write_array(target / "img_emb" / f"img_emb_{name}.npy", embeddings)
        path = target / "metadata" / f"metadata_{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, partial(pq.write_table, metadata))
        count += len(pictures)
    return count


def _parts(pages: Iterator[Page]) -> Iterator[tuple[list[OutgoingPicture], NDArray[np.float16]]]:
    pictures: list[OutgoingPicture] = []
    embeddings: list[NDArray[np.float16]] = []
    for page in pages:
        pictures += page.pictures
        embeddings.append(page.embeddings)
        if len(pictures) >= PART_ROWS:
            yield pictures, np.concatenate(embeddings)
            pictures, embeddings = [], []
    if pictures:
        yield pictures, np.concatenate(embeddings)


def _write_array(path: Path, embeddings: NDArray[np.float16]) -> None:
    def write(to: Path) -> None:
        with to.open("wb") as file:
            np.save(file, embeddings, allow_pickle=False)

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, write)


def _write_npy(pages: Iterator[Page], dim: int, target: Path) -> int:
    """`embeddings.npy`, float16 (n, dim), and `images.jsonl`, a line for each of its rows."""
    target.mkdir(parents=True, exist_ok=True)
    count = 0

    def write_rows(to: Path) -> None:
        with to.open("wb") as rows:
            _write_header(rows, 0, dim)
            write_atomic(target / IMAGES_JSONL, lambda lines: write_lines(lines, rows))
            rows.seek(0)
            _write_header(rows, count, dim)

    def write_lines(to: Path, rows: BinaryIO) -> None:
        nonlocal count
        with to.open("w", encoding="utf-8") as lines:
            for page in pages:
                rows.write(np.ascontiguousarray(page.embeddings).tobytes())
                lines.writelines(
                    json.dumps(_facts(each), ensure_ascii=False) + "\n" for each in page.pictures
                )
                count += len(page.pictures)

    write_atomic(target / EMBEDDINGS_NPY, write_rows)
    return count


def _write_header(file: BinaryIO, count: int, dim: int) -> None:
    """As long for any count: NumPy leaves room for it to grow."""
    header = {"descr": "<f2", "fortran_order": False, "shape": (count, dim)}
    npy.write_array_header_1_0(file, header)
