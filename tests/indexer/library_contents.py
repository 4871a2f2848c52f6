"""What a library holds, for comparing one that was disturbed with one that was not."""

from pathlib import Path

import numpy as np
from color_encoder import ColorEncoder
from sqlalchemy import select

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest, JobReport
from storage.catalog.schema import Embedding, Image, Location, Shard
from storage.index.shards import read_shard
from storage.jobs import list_jobs
from storage.library import Library
from storage.upkeep.doctor import examine

SMALL_BATCHES = IndexConfig(workers=1, batch_size=2, commit_images=2)


def run_job(library: Library, pictures: Path) -> JobReport:
    return IndexJob(library, ColorEncoder(), SMALL_BATCHES).run(IndexRequest([str(pictures)]))


def contents(library: Library) -> dict[bytes, tuple[list[str], bytes]]:
    """By content: where a picture lies, and its embedding as stored."""
    space = library.active_space()
    folder = library.data_dir / "embeddings" / space.fingerprint[:16]
    with library.engine.connect() as connection:
        shards = dict(connection.execute(select(Shard.id, Shard.name)).all())
        rows = connection.execute(
            select(Image.id, Image.sha256, Embedding.shard_id, Embedding.row).join(
                Embedding, Embedding.image_id == Image.id
            )
        ).all()
        found = {}
        for row in rows:
            ids, embeddings = read_shard(folder, shards[row.shard_id])
            assert ids[row.row] == row.id
            paths = connection.execute(
                select(Location.path).where(Location.image_id == row.id).order_by(Location.path)
            ).scalars()
            found[row.sha256] = (list(paths), embeddings[row.row].tobytes())
        return found


def check_invariants(library: Library) -> None:
    """Nothing half there: every image has an embedding and a file, every shard its file."""
    with library.engine.connect() as connection:
        images = set(connection.execute(select(Image.id)).scalars())
        embedded = set(connection.execute(select(Embedding.image_id)).scalars())
        located = set(connection.execute(select(Location.image_id)).scalars())
        shards = list(connection.execute(select(Shard.name)).scalars())
    assert images == embedded == located
    for name in shards:
        [path] = library.data_dir.glob(f"embeddings/*/{name}")
        assert path.stat().st_size > 0


def check_recovery(
    data_dir: Path, pictures: Path, expected: dict[bytes, tuple[list[str], bytes]]
) -> int:
    """The library opens and is clean; the job goes on where it was and ends as an undisturbed one,
    embedding exactly what was not committed. Returns how many pictures were."""
    library = Library.open(data_dir, create=True)
    try:
        check_invariants(library)
        before = contents(library) if library.active_space() else {}
        if library.active_space():
            assert examine(library).is_clean
        report = run_job(library, pictures)
        assert report.counts.embedded == len(expected) - len(before)
        assert contents(library) == expected
        check_invariants(library)
        assert examine(library).findings == []
        _check_nothing_is_left_over(library)
        snapshot = library.reader(library.active_space()).current()
        assert len(snapshot.image_ids) == len(expected)
        red = ColorEncoder().encode_texts(["red"])[0]
        assert np.all(np.diff(snapshot.nearest(red, len(expected)).scores) <= 0)
        assert {job.status for job in list_jobs(library.engine)} <= {"done", "died", "failed"}
    finally:
        library.close()
    return len(before)


def _check_nothing_is_left_over(library: Library) -> None:
    named = {path.name for path in library.data_dir.glob("embeddings/*/*")}
    with library.engine.connect() as connection:
        assert named == set(connection.execute(select(Shard.name)).scalars())
    for kept in ("embeddings", "index"):
        assert not list(library.data_dir.glob(f"{kept}/**/.*.tmp"))
