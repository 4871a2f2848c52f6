"""kill -9 at every step of the commit protocol. POLYGLANCE_ALL_KILLS=1 takes each step in turn."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture
from sqlalchemy import select

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from storage.catalog.schema import Embedding, Image, Location, Shard
from storage.jobs import list_jobs
from storage.library import Library
from storage.shards import read_shard

SCRIPT = Path(__file__).with_name("killed_indexer.py")
STRIDE = 1 if os.environ.get("POLYGLANCE_ALL_KILLS") else 3


@pytest.fixture
def eight_pictures(tmp_path: Path) -> Path:
    for mark in range(8):
        draw_picture(tmp_path / "pictures" / f"{mark}.png", (200, 25 * mark, 0), mark)
    draw_picture(tmp_path / "pictures" / "copy of 3.png", (200, 75, 0), 3)
    return tmp_path / "pictures"


def run_job(library: Library, pictures: Path):
    config = IndexConfig(workers=1, batch_size=2, commit_images=2)
    return IndexJob(library, ColorEncoder(), config).run(IndexRequest([str(pictures)]))


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


def test_killed_at_any_step_the_library_opens_and_the_job_goes_on(
    eight_pictures: Path, tmp_path: Path
) -> None:
    undisturbed = Library.open(tmp_path / "undisturbed", create=True)
    run_job(undisturbed, eight_pictures)
    expected = contents(undisturbed)
    assert len(expected) == 8

    root = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")]),
        "OMP_NUM_THREADS": "1",
    }
    libraries = tmp_path / "killed"
    libraries.mkdir()
    arguments = [str(eight_pictures), str(libraries), "1", str(STRIDE), "400"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = int(done.stdout)
    assert kills >= 20

    for folder in sorted(libraries.iterdir())[:kills]:
        library = Library.open(folder, create=True)
        check_invariants(library)
        before = contents(library) if library.active_space() else {}
        report = run_job(library, eight_pictures)
        assert report.counts.embedded == len(expected) - len(before), folder.name
        assert contents(library) == expected, folder.name
        check_invariants(library)
        named = {path.name for path in library.data_dir.glob("embeddings/*/*")}
        with library.engine.connect() as connection:
            assert named == set(connection.execute(select(Shard.name)).scalars()), folder.name
        for kept in ("embeddings", "index"):
            assert not list(library.data_dir.glob(f"{kept}/**/.*.tmp")), folder.name
        snapshot = library.reader(library.active_space()).current()
        assert len(snapshot.image_ids) == 8
        red = ColorEncoder().encode_texts(["red"])[0]
        assert np.all(np.diff(snapshot.nearest(red, 8).scores) <= 0)
        assert {job.status for job in list_jobs(library.engine)} <= {"done", "died"}
        library.close()
