"""Counts beside the filters, against counting picture by picture."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from storage.facets import FacetCounts, browse, came_after, folder_of
from storage.files import register_root
from storage.jobs import start_job
from storage.library import Library
from storage.pictures import filter_ids
from storage.records import Batch, FileStat, IndexedFile, NewImage, PictureFilter

SPACE = SimpleNamespace(fingerprint="f" * 64, checkpoint="none", revision=None, dim=4)
CAMERAS = ("Canon EOS 5D", "Canon EOS 5D Mark II", "Pixel 8", None)


def add(library: Library, numbers: range) -> None:
    """Pictures with facts that differ by their number; every seventh lies in two folders."""
    root = register_root(library.engine, Path("/nowhere"), "one")
    other = register_root(library.engine, Path("/elsewhere"), "two")
    batch = Batch()
    for number in numbers:
        chance = random.Random(number)
        sha256 = number.to_bytes(32, "big")
        taken = datetime(2019 + number % 4, 1 + number % 12, 3) if number % 5 else None  # noqa: DTZ001
        there = number % 3 == 0
        batch.images[sha256] = NewImage(
            sha256=sha256,
            width=chance.choice([800, 2500, 4000]),
            height=chance.choice([800, 2500, 3200]),
            format=chance.choice(["jpeg", "png"]),
            size_bytes=1,
            dominant_color="#abcdef",
            taken_at=taken,
            camera=chance.choice(CAMERAS),
            latitude=chance.uniform(-60, 70) if there else None,
            longitude=chance.uniform(-179, 179) if there else None,
        )
        batch.embeddings[sha256] = np.eye(4, dtype=np.float32)[number % 4]
        homes = [(root, f"{2019 + number % 4}/{number % 2}ü/{number}.jpg")]
        if number % 7 == 0:
            homes.append((other, f"copies/{number}.jpg"))
            homes.append((other, f"copies/again/{number}.jpg"))
        for home, path in homes:
            stat = FileStat(home.id, path, 1, 0)
            batch.files.append(IndexedFile(stat, home.collection_id, sha256))
    with library.writer("tests", SPACE) as writer:
        writer.commit(batch, start_job(library.engine, "index", "none", []), {})


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = Library.open(tmp_path_factory.mktemp("facets"), create=True)
    add(library, range(1, 301))
    yield library
    library.close()


def found(library: Library, chosen: PictureFilter, **more: object) -> int:
    return len(filter_ids(library.engine, replace(chosen, **more)))


CHOICES = (
    PictureFilter(),
    PictureFilter(orientation="landscape"),
    PictureFilter(formats=("png",), camera="Canon"),
    PictureFilter(path_glob="2020/*", taken_after="2020-03-01", taken_before="2020-12-31"),
    PictureFilter(collections=("two",), min_width=2000, min_height=2000),
    PictureFilter(near=(20.0, 100.0, 5000.0)),
)


@pytest.mark.parametrize("chosen", CHOICES, ids=repr)
def test_each_count_is_what_the_choice_then_finds(library: Library, chosen: PictureFilter) -> None:
    facets = FacetCounts(library.engine).of(chosen)
    assert facets.total == found(library, chosen)
    for name, count in facets.collections.items():
        assert count == found(library, chosen, collections=(name,))
    for name, count in facets.formats.items():
        assert count == found(library, chosen, formats=(name,))
    for name, count in facets.cameras.items():
        assert count == found(library, chosen, camera=name)
    for name, count in facets.orientations.items():
        assert count == found(library, chosen, orientation=name)
    for side, count in facets.sizes.items():
        assert count == found(library, chosen, min_width=side, min_height=side)
    for month, count in facets.months.items():
        assert count == found(
            library, chosen, taken_after=f"{month}-01", taken_before=f"{month}-28"
        )
    for name, count in facets.folders.items():
        assert count == found(library, chosen, path_glob=f"{folder_of(chosen)}{name}/*")
    placed = sum(cluster.count for cluster in facets.places)
    assert placed == found(library, chosen, near=chosen.near or (0.0, 0.0, 20_000.0)) or (
        chosen.near is None and placed <= facets.total
    )


def test_all_kinds_are_counted(library: Library) -> None:
    facets = FacetCounts(library.engine).of(PictureFilter())
    assert set(facets.collections) == {"one", "two"}
    assert set(facets.folders) == {"2019", "2020", "2021", "2022", "copies"}
    assert facets.collections["two"] == facets.folders["copies"] == 42
    assert set(facets.cameras) == set(CAMERAS) - {None}
    assert facets.cameras["Canon EOS 5D"] > facets.cameras["Canon EOS 5D Mark II"]
    assert list(facets.orientations) == ["landscape", "portrait", "square"]
    assert list(facets.sizes) == [1000, 2000, 3000]
    assert list(facets.months) == sorted(facets.months)
    assert sum(cluster.count for cluster in facets.places) == 100
    below = FacetCounts(library.engine).of(PictureFilter(path_glob="2020/*"))
    assert set(below.folders) == {"1ü"}


def test_a_clusters_circle_holds_all_its_pictures(library: Library) -> None:
    for cluster in FacetCounts(library.engine).of(PictureFilter()).places:
        near = (cluster.latitude, cluster.longitude, cluster.km)
        assert found(library, PictureFilter(near=near)) >= cluster.count


def test_what_is_committed_later_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.facets.STALE_SHARE", 0)
    library = Library.open(tmp_path, create=True)
    add(library, range(1, 11))
    counts = FacetCounts(library.engine)
    assert counts.of(PictureFilter(formats=("png", "jpeg"))).total == 10
    add(library, range(11, 31))
    assert counts.of(PictureFilter(formats=("png", "jpeg"))).total == 30
    library.close()


def test_an_empty_library_has_nothing_to_choose(tmp_path: Path) -> None:
    library = Library.open(tmp_path, create=True)
    facets = FacetCounts(library.engine).of(PictureFilter(orientation="square"))
    library.close()
    assert (facets.total, facets.collections, facets.places) == (0, {}, ())


def test_browsing_goes_from_the_newest_to_the_oldest_and_back(library: Library) -> None:
    chosen = PictureFilter(formats=("png",))
    expected = filter_ids(library.engine, chosen)[::-1].tolist()
    seen: list[int] = []
    while True:
        before = seen[-1] if seen else None
        page = browse(library.engine, chosen, before=before, limit=17)
        if not page:
            break
        seen += page
    assert seen == expected
    assert came_after(library.engine, chosen, expected[3]) == expected[2]
    assert came_after(library.engine, chosen, expected[0]) is None
