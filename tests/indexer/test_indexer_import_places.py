"""Embeddings taken in for pictures in tars, in Parquet files and at URLs."""

import json
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder
from drawn_containers import drawn, write_dataset, write_tar
from loopback_ftp import LoopbackFtp, serve_ftp

from indexer.config import IndexConfig
from indexer.exchange.job import ImportCounts, ImportJob, ImportReport
from indexer.job import IndexJob
from indexer.report import Counts, IndexRequest
from storage.exchange.errors import ExchangeError
from storage.exchange.reading import open_incoming
from storage.exchange.writing import export
from storage.files import list_roots
from storage.library import Library
from storage.pictures import list_images

CONFIG = IndexConfig(workers=2)


@pytest.fixture
def contained(pictures: Path, tmp_path: Path) -> Path:
    """Six pictures on the disk, two in a tar in a folder, three in a Parquet file."""
    members = {"in/a.png": drawn(tmp_path, 21), "in/a.txt": b"a hat", "b.png": drawn(tmp_path, 22)}
    write_tar(pictures / "sets" / "s.tar", members)
    rows = [drawn(tmp_path, mark, "jpg") for mark in (23, 24, 25)]
    write_dataset(pictures / "t.parquet", rows)
    return pictures


@pytest.fixture
def ftp(contained: Path, tmp_path: Path):
    with serve_ftp(tmp_path) as server:
        yield server


@pytest.fixture
def other(tmp_path: Path):
    """A library of another machine, as it were."""
    opened = Library.open(tmp_path / "other", create=True)
    yield opened
    opened.close()


def take_in(library: Library, files: Path, **options: object) -> ImportReport:
    return ImportJob(library, ColorEncoder(), CONFIG).run(open_incoming(files), files, **options)


def index_into(library: Library, source: object) -> Counts:
    return IndexJob(library, ColorEncoder(), CONFIG).run(IndexRequest([str(source)])).counts


def hold_the_same(one: Library, other: Library) -> bool:
    found = []
    for library in (one, other):
        snapshot = library.reader(library.active_space()).current()
        images = sorted(list_images(library.engine), key=lambda image: image.sha256)
        found.append(
            ([image.sha256 for image in images], [snapshot.embedding(image.id) for image in images])
        )
    return found[0][0] == found[1][0] and np.allclose(found[0][1], found[1][1], atol=1e-3)


@pytest.mark.parametrize("kind", ["parquet", "clip-retrieval"])
def test_pictures_in_containers_are_found_and_indexing_finds_them_unchanged(
    index, library: Library, other: Library, contained: Path, tmp_path: Path, kind: str
) -> None:
    index(contained)
    export(library, library.active_space(), tmp_path / "out", kind)
    report = take_in(other, tmp_path / "out")
    assert report.counts == ImportCounts(seen=11, imported=11)
    proven = None if kind == "parquet" else pytest.approx(1, abs=1e-3)
    assert report.cosine == proven
    assert hold_the_same(library, other)
    assert [root.path for root in list_roots(other.engine)] == [contained]
    assert take_in(other, tmp_path / "out").counts == ImportCounts(seen=11, unchanged=11)
    counts = index_into(other, contained)
    # Those with words beside them were taken in without: they are looked at once more.
    assert (counts.seen, counts.new, counts.embedded) == (11, 0, 0)


def test_pictures_of_one_container_alone_make_its_folder_the_root(
    index, library: Library, other: Library, contained: Path, tmp_path: Path
) -> None:
    index(contained / "sets" / "s.tar")
    export(library, library.active_space(), tmp_path / "out", "clip-retrieval")
    assert take_in(other, tmp_path / "out").counts == ImportCounts(seen=2, imported=2)
    assert [root.path for root in list_roots(other.engine)] == [contained / "sets"]
    assert index_into(other, contained / "sets").unchanged == 2


def test_what_is_not_in_its_container_and_what_has_changed_there_is_left_out(
    index, library: Library, other: Library, contained: Path, tmp_path: Path
) -> None:
    index(contained)
    export(library, library.active_space(), tmp_path / "out.parquet", "parquet")
    (contained / "t.parquet").unlink()
    write_tar(contained / "sets" / "s.tar", {"b.png": drawn(tmp_path, 40)})
    report = take_in(other, tmp_path / "out.parquet")
    assert report.counts == ImportCounts(seen=11, imported=6, missing=4, changed=1)


@pytest.mark.parametrize("kind", ["parquet", "npy"])
def test_pictures_at_a_url_are_found(
    index, library: Library, other: Library, ftp: LoopbackFtp, tmp_path: Path, kind: str
) -> None:
    url = f"{ftp.url}/pictures"
    index(url)
    export(library, library.active_space(), tmp_path / "out", kind)
    named = open_incoming(tmp_path / "out").blocks(ColorEncoder().space.dim)
    assert all(picture.path.startswith(f"{url}/") for block in named for picture in block.pictures)
    assert take_in(other, tmp_path / "out").counts == ImportCounts(seen=11, imported=11)
    assert hold_the_same(library, other)
    assert list_roots(other.engine)[0].path == list_roots(library.engine)[0].path
    assert take_in(other, tmp_path / "out").counts == ImportCounts(seen=11, unchanged=11)
    counts = index_into(other, url)
    assert (counts.seen, counts.new, counts.embedded) == (11, 0, 0)


def test_pictures_on_the_disk_and_at_a_url_get_a_root_each(
    index, library: Library, other: Library, ftp: LoopbackFtp, tmp_path: Path
) -> None:
    index(tmp_path / "pictures" / "plants", f"{ftp.url}/pictures/sets")
    export(library, library.active_space(), tmp_path / "out", "clip-retrieval")
    assert take_in(other, tmp_path / "out").counts == ImportCounts(seen=5, imported=5)
    assert [root.path for root in list_roots(other.engine)] == [
        root.path for root in list_roots(library.engine)
    ]


def test_an_import_of_which_nothing_is_within_reach_writes_nothing(
    other: Library, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "out" / "embeddings.npy", np.eye(ColorEncoder().space.dim)[:2])
    lines = [json.dumps({"image_path": f"ftp://127.0.0.1:9/x/{name}.png"}) for name in "ab"]
    (tmp_path / "out" / "images.jsonl").write_text("\n".join(lines))
    with pytest.raises(ExchangeError, match="None of the 2 pictures"):
        take_in(other, tmp_path / "out")
    assert list_roots(other.engine) == []
