"""Tars and Parquet files of drawn pictures, as datasets come."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from drawn_pictures import draw_picture
from pyarrow import parquet

COLORS = [(255, 0, 0), (0, 0, 255), (0, 160, 0), (255, 220, 0), (130, 60, 170), (0, 0, 0)]


def drawn(folder: Path, mark: int, suffix: str = "png") -> bytes:
    """A picture's bytes, its own for each mark."""
    path = folder / f"drawn.{suffix}"
    data = draw_picture(path, COLORS[mark % len(COLORS)], mark).read_bytes()
    path.unlink()
    return data


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """An uncompressed tar, as webdataset's writer makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def write_dataset(
    path: Path, pictures: list[bytes | None], paths: list[str] | None = None, **columns: list
) -> Path:
    """The layout of Hugging Face's `datasets`: three rows a group."""
    image = [
        {"bytes": data, "path": None if paths is None else paths[row]}
        for row, data in enumerate(pictures)
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(image, kind), **columns})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=3)
    return path
