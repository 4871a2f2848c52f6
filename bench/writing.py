"""What writing a library costs beside reading and embedding: python -m bench.writing

Commits of pictures that are new, new with words, and known; the limit is the same rows put by
SQLite's driver alone, as many to a transaction. Then the lookup of a hash, which each file pays.
Then an index generation, written as its rows come and by FAISS from memory: its time, and its
anonymous memory, which must not grow with the rows.
"""

import argparse
import hashlib
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from bench.memory import memory_peak
from bench.search_speed import Space, unit
from storage.files import register_root
from storage.index.generation_file import Rows, write_index_file
from storage.index.kinds import make_index
from storage.jobs import start_job
from storage.library import Library
from storage.pictures import find_image
from storage.records import Batch, FileStat, IndexedFile, NewImage, PictureText, RootRecord

COMMIT = 256
TABLES = ("image", "location", "image_text", "picture_words", "shard", "embedding")


def batches(count: int, root: RootRecord, *, words: bool) -> list[Batch]:
    random = np.random.default_rng(0)
    made = []
    for start in range(0, count, COMMIT):
        batch = Batch()
        rows = unit(random.standard_normal((COMMIT, Space.dim), dtype=np.float32))
        for number, row in enumerate(rows, start):
            sha256 = content(number)
            caption = PictureText("caption", f"Red car number {number} in a narrow street", "exif")
            texts = (caption,) if words else ()
            batch.images[sha256] = NewImage(sha256, 64, 48, "jpeg", 9000, "#aabbcc", texts=texts)
            batch.embeddings[sha256] = row
            stat = FileStat(root.id, f"{number // 1000:04d}/IMG_{number:07d}.jpg", 9000, number)
            batch.files.append(IndexedFile(stat, root.collection_id, sha256))
        made.append(batch)
    return made


def content(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()


class Timed:
    """Milliseconds a piece of work, of the clock and of the processor."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces

    def __enter__(self) -> "Timed":
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        now = time.perf_counter(), time.process_time()
        took = [1000 * (end - start) for start, end in zip(self._began, now, strict=True)]
        self.wall_ms, self.cpu_ms = took[0] / self._pieces, took[1] / self._pieces


def measure_commits(count: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}

    def note(name: str, timed: Timed) -> None:
        found[name] = {"cpu_ms": round(timed.cpu_ms, 3), "wall_ms": round(timed.wall_ms, 3)}
        print(f"{name:44}  {timed.cpu_ms:6.3f}  {timed.wall_ms:7.3f}", flush=True)

    print("a picture, ms                                    CPU     wall")
    with tempfile.TemporaryDirectory() as home:
        for name, words in (("new", False), ("new, with words", True)):
            library = Library.open(Path(home) / name, create=True)
            root = register_root(library.engine, Path("/bench"), None)
            given = batches(count, root, words=words)
            with library.writer("bench", Space()) as writer:
                job = start_job(library.engine, "bench", "bench", [])
                for kind in (name, f"known, as {name}"):
                    with Timed(count) as timed:
                        for batch in given:
                            writer.commit(batch, job, {})
                    note(kind, timed)
            if not words:
                with Timed(count) as timed:
                    for number in range(count):
                        find_image(library.engine, content(number), 1)
                note("lookup of a hash", timed)
            library.close()
            note(f"limit of {name}: SQLite alone", put_by_sqlite(Path(home), name, count))
    return found


def put_by_sqlite(home: Path, name: str, count: int) -> Timed:
    """The rows of a library's catalog, into an empty one of the same schema."""
    Library.open(home / f"{name} again", create=True).close()
    with sqlite3.connect(home / name / "catalog.db") as full:
        rows = {table: full.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    full.close()
    rows["picture_words"] = [(number, *row) for number, row in enumerate(rows["picture_words"])]
    into = sqlite3.connect(home / f"{name} again" / "catalog.db", isolation_level=None)
    into.execute("PRAGMA synchronous = FULL")
    timed = Timed(count)
    with timed:
        for start in range(0, count, COMMIT):
            into.execute("BEGIN")
            for table, its_rows in rows.items():
                put_rows(into, table, its_rows[start : start + COMMIT])
            into.execute("COMMIT")
    into.close()
    return timed


def put_rows(into: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    if rows:
        columns = "(rowid, names, words)" if table == "picture_words" else ""
        marks = ", ".join("?" * len(rows[0]))
        into.executemany(f"INSERT INTO {table}{columns} VALUES ({marks})", rows)


def blocks(count: int, dim: int) -> Iterator[Rows]:
    rows = unit(np.random.default_rng(0).standard_normal((COMMIT, dim))).astype(np.float16)
    for start in range(0, count, COMMIT):
        yield np.arange(start, start + COMMIT), rows


def write_from_memory(path: Path, empty: faiss.Index, given: Iterator[Rows]) -> None:
    for image_ids, rows in given:
        empty.add_with_ids(rows.astype(np.float32), image_ids)
    faiss.write_index(empty, str(path))


def measure_generations(counts: list[int], dim: int) -> list[dict[str, Any]]:
    print("a generation                    rows   CPU s  wall s  anonymous MiB")
    found = []
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "generation"
        for count in counts:
            for name, write in (("streamed", write_index_file), ("from memory", write_from_memory)):
                with memory_peak() as memory, Timed(1000) as timed:
                    write(path, make_index(dim), blocks(count, dim))
                row = {
                    "how": name,
                    "rows": count,
                    "cpu_s": timed.cpu_ms,
                    "wall_s": timed.wall_ms,
                    "anonymous_mib": memory.anonymous - memory.at_start,
                }
                found.append(row)
                print(
                    f"{name:20}  {count:14,d}  {row['cpu_s']:6.2f}  {row['wall_s']:6.2f}  "
                    f"{row['anonymous_mib']:13.1f}",
                    flush=True,
                )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20 * COMMIT)
    parser.add_argument("--rows", type=int, nargs="+", default=[100 * COMMIT, 400 * COMMIT])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results = {
        "commits": measure_commits(-(-options.pictures // COMMIT) * COMMIT),
        "generations": measure_generations(options.rows, Space.dim),
    }
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
