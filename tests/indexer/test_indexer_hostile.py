"""Hundreds of malformed files through the whole indexer: each ends as indexed or as failed."""

from collections import Counter
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from hostile_corpus import make_corpus
from sqlalchemy import select

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from storage.catalog.schema import Image, Location
from storage.jobs import list_failures
from storage.library import Library
from storage.upkeep.doctor import examine

IN_WORDS = ("is ", "has ", "can't be ", "needs ", "crashes ", "takes ", "could not ")


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Path, int]:
    return tmp_path / "corpus", make_corpus(tmp_path / "corpus")


def test_every_malformed_file_ends_as_indexed_or_as_failed_with_a_reason(
    library: Library, corpus: tuple[Path, int]
) -> None:
    folder, count = corpus
    assert count >= 300
    config = IndexConfig(workers=2, decode_seconds=20)
    report = IndexJob(library, ColorEncoder(), config).run(IndexRequest([str(folder)]))
    failures = list_failures(library.engine, report.job)
    with library.engine.connect() as connection:
        located = set(connection.execute(select(Location.path)).scalars())
        sizes = connection.execute(select(Image.width, Image.height)).all()
    failed = {failure.path for failure in failures}
    print(f"{count} files: {len(located)} indexed, failed:", Counter(f.kind for f in failures))

    on_disk = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert len(on_disk) == count
    assert located | failed == on_disk
    assert not located & failed
    assert report.counts.seen == count
    assert len(failed) > 150
    assert all(failure.reason.startswith(IN_WORDS) for failure in failures), failures
    assert not {failure.kind for failure in failures} & {"decoder_failed", "decoder_crashed"}
    assert "too_slow" not in {failure.kind for failure in failures}
    assert all(path in located for path in on_disk if path.startswith(("names/", "deep")))
    assert max(width * height for width, height in sizes) <= 100_000_000
    assert examine(library).is_clean

    again = IndexJob(library, ColorEncoder(), config).run(IndexRequest([str(folder)]))
    assert again.counts.embedded == 0
    assert again.counts.unchanged + again.counts.failed == count
