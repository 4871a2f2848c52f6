"""The encoder and the commits at work beside the reading: order, errors, and what is kept."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder
from library_contents import check_invariants, contents
from sqlalchemy import select

from encoders import Embeddings, Preprocessed
from indexer.committing import Committer, RunningJob
from indexer.config import IndexConfig
from indexer.embedding import BatchEmbedder
from indexer.report import Counts
from storage.catalog.schema import Image, Shard
from storage.files import register_root
from storage.jobs import get_job, start_job
from storage.library import Library
from storage.records import FileStat, IndexedFile, NewImage

PATIENCE_S = 30


def pixels_of(number: int) -> Preprocessed:
    """As the colour encoder takes them; no two alike."""
    return np.full((1024, 3), number, dtype=np.float32)


class Watched(ColorEncoder):
    """Notes how many batches are with it at once; each waits until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def encode_preprocessed(self, batch: list[Preprocessed]) -> Embeddings:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.entered.release()
        assert self.let_go.acquire(timeout=PATIENCE_S)
        with self.lock:
            self.at_once -= 1
        return super().encode_preprocessed(batch)


@pytest.fixture
def root_id(library: Library, pictures: Path) -> int:
    return register_root(library.engine, pictures, None).id


@pytest.fixture
def job(library: Library, root_id: int) -> Iterator[RunningJob]:
    with library.writer("index", ColorEncoder().space) as writer:
        yield RunningJob(library, writer, start_job(library.engine, "index", "colors", []))


def put(committer: Committer, root_id: int, number: int) -> None:
    sha256 = number.to_bytes(32, "big")
    committer.batch.images[sha256] = NewImage(sha256, 8, 8, "png", 100, "#000000")
    stat = FileStat(root_id, f"{number}.png", 100, 1)
    committer.batch.files.append(IndexedFile(stat, 1, sha256))
    committer.embed(sha256, pixels_of(number))


def test_batches_are_committed_in_order_each_with_its_own_embeddings(
    job: RunningJob, root_id: int
) -> None:
    counts = Counts()
    config = IndexConfig(workers=1, batch_size=2, commit_images=4)
    with Committer(job, ColorEncoder(), config, counts) as committer:
        for number in range(11):
            put(committer, root_id, 20 * number)
            committer.commit_when_due()
        committer.flush()
    library = job.library
    check_invariants(library)
    found = contents(library)
    for number in range(0, 220, 20):
        paths, stored = found.pop(number.to_bytes(32, "big"))
        made = ColorEncoder().encode_preprocessed([pixels_of(number)])[0]
        assert (paths, stored) == ([f"{number}.png"], made.astype(np.float16).tobytes())
    assert not found
    with library.engine.connect() as connection:
        shards = connection.execute(select(Shard.row_count).order_by(Shard.id)).scalars().all()
        ids = connection.execute(select(Image.sha256).order_by(Image.id)).scalars().all()
    assert shards == [4, 4, 3]
    assert ids == sorted(ids), "as they were read"
    assert get_job(library.engine, job.id).counts["embedded"] == counts.embedded == 11


def test_reading_goes_on_while_a_batch_is_embedded_and_committed(
    job: RunningJob, root_id: int
) -> None:
    encoder, counts = Watched(), Counts()
    config = IndexConfig(workers=1, batch_size=2, commit_images=2)
    with Committer(job, encoder, config, counts) as committer:
        put(committer, root_id, 1)
        put(committer, root_id, 2)
        assert not committer.commit_when_due(), "it is not waited for"
        assert encoder.entered.acquire(timeout=PATIENCE_S)
        put(committer, root_id, 3)
        put(committer, root_id, 4)
        assert encoder.entered.acquire(timeout=PATIENCE_S), "the next batch is there meanwhile"
        committer.embed((1).to_bytes(32, "big"), pixels_of(1))
        assert counts.embedded == 4, "what is on its way is not embedded again"
        for _ in range(4):
            encoder.let_go.release()
        assert committer.commit_when_due(), "the first one has ended"
        committer.flush()
    assert encoder.most_at_once == 2
    assert len(contents(job.library)) == 4


def test_a_commit_under_way_is_seen_through_when_the_job_fails(
    job: RunningJob, root_id: int
) -> None:
    config = IndexConfig(workers=1, batch_size=2, commit_images=2)

    def fail() -> None:
        with Committer(job, ColorEncoder(), config, Counts()) as committer:
            for number in (1, 2):
                put(committer, root_id, number)
            committer.commit_when_due()
            put(committer, root_id, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    check_invariants(job.library)
    assert {paths[0] for paths, _ in contents(job.library).values()} == {"1.png", "2.png"}


def test_an_encoder_that_fails_is_heard_of_before_the_next_commit() -> None:
    class Failing(ColorEncoder):
        def encode_preprocessed(self, batch: list[Preprocessed]) -> Embeddings:
            raise RuntimeError("out of memory")

    embedder = BatchEmbedder(Failing(), in_flight=2)
    embedder.embed([pixels_of(1)])
    embedder.embed([pixels_of(2)])
    with pytest.raises(RuntimeError, match="out of memory"):
        embedder.embed([pixels_of(3)])
    embedder.close()


def test_the_encoder_is_given_so_many_batches_at_once_and_no_more() -> None:
    encoder = Watched()
    began = time.monotonic()
    embedder = BatchEmbedder(encoder, in_flight=2)
    futures = []
    asked = threading.Thread(
        target=lambda: futures.extend(embedder.embed([pixels_of(each)]) for each in range(5))
    )
    asked.start()
    for _ in range(2):
        assert encoder.entered.acquire(timeout=PATIENCE_S)
    assert not encoder.entered.acquire(timeout=0.05)
    for _ in range(5):
        encoder.let_go.release()
    asked.join(timeout=PATIENCE_S)
    found = [future.result(timeout=PATIENCE_S)[0] for future in futures]
    embedder.close()
    assert encoder.most_at_once == 2
    for number, embedding in enumerate(found):
        assert np.array_equal(embedding, ColorEncoder().encode_preprocessed([pixels_of(number)])[0])
    assert 0 < embedder.seconds <= time.monotonic() - began, "two at once are not counted twice"


def test_a_copy_is_not_embedded_again_however_many_files_came_between(
    job: RunningJob, root_id: int
) -> None:
    counts = Counts()
    config = IndexConfig(workers=1, batch_size=2, commit_images=1000)
    with Committer(job, ColorEncoder(), config, counts) as committer:
        for number in (*range(1, 41), 1):
            put(committer, root_id, number)
        committer.flush()
    assert counts.embedded == 40
