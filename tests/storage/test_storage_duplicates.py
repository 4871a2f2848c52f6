from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from sqlalchemy import Engine, insert, update

from indexer.hashes import fill_missing_hashes
from search.ranking.looks import looks_of
from storage.catalog.schema import Counter, Image
from storage.duplicates import (
    SAME_PICTURE_BITS,
    DuplicateGroup,
    count_unhashed,
    duplicate_groups,
    group_near_duplicates,
    near_duplicates,
)
from storage.errors import LibraryBusy
from storage.library import Library
from storage.lock import writer_lock
from storage.pictures import list_images


def blurred_colors(seed: int, size: tuple[int, int] = (400, 300)) -> PilImage.Image:
    """A picture like no other of another seed."""
    chance = np.random.default_rng(seed)
    patches = chance.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return PilImage.fromarray(patches).resize(size, PilImage.Resampling.BICUBIC)


def save(picture: PilImage.Image, path: Path, quality: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=quality)
    return path


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Two pictures in several sizes, one that has only a copy, two of one colour."""
    folder = tmp_path / "copies"
    for seed in (1, 2):
        picture = blurred_colors(seed)
        save(picture, folder / f"{seed}.jpg")
        save(picture.resize((200, 150)), folder / f"{seed} half.webp", 60)
        save(picture, folder / "small" / f"{seed} poor.jpg", 25)
    save(blurred_colors(3), folder / "3.png")
    save(blurred_colors(3), folder / "small" / "3 again.png")
    save(blurred_colors(4), folder / "4.png")
    save(PilImage.new("RGB", (400, 300), (250, 250, 250)), folder / "white.png")
    save(PilImage.new("RGB", (200, 150), (255, 255, 255)), folder / "whiter.png")
    return folder


def named(groups: Iterator[DuplicateGroup]) -> list[list[str]]:
    return sorted(
        [file.name for picture in group.pictures for file in picture.files] for group in groups
    )


def id_of(library: Library, name: str) -> int:
    [found] = [each.id for each in list_images(library.engine) if each.path.endswith(name)]
    return found


def test_copies_of_other_size_and_quality_are_one_group_the_largest_first(
    library: Library, index, copies: Path
) -> None:
    index(copies)
    looks = looks_of(library)
    found = list(duplicate_groups(library.engine, looks=looks))
    assert named(iter(found)) == [
        ["1.jpg", "1 poor.jpg", "1 half.webp"],
        ["2.jpg", "2 poor.jpg", "2 half.webp"],
        ["3.png", "3 again.png"],
    ]
    [exact] = [group for group in found if group.is_exact]
    assert (exact.files, exact.spare_bytes) == (2, (copies / "3.png").stat().st_size)
    first = next(group for group in found if group.pictures[0].files[0].name == "1.jpg")
    others = ("small/1 poor.jpg", "1 half.webp")
    assert first.spare_bytes == sum((copies / name).stat().st_size for name in others)
    exact_only = duplicate_groups(library.engine, looks=looks, exact_only=True)
    assert named(exact_only) == [["3.png", "3 again.png"]]


def test_near_duplicates_of_one_picture_come_the_likest_first(
    library: Library, index, copies: Path
) -> None:
    index(copies)
    found = near_duplicates(library.engine, id_of(library, "1.jpg"))
    assert sorted(found) == sorted(id_of(library, name) for name in ("1 poor.jpg", "1 half.webp"))
    for name in ("4.png", "white.png", "3.png"):
        assert near_duplicates(library.engine, id_of(library, name)) == []
    assert near_duplicates(library.engine, 999) == []


def test_what_is_committed_later_is_found_at_once(library: Library, index, copies: Path) -> None:
    index(copies)
    before = id_of(library, "4.png")
    assert near_duplicates(library.engine, before) == []
    save(blurred_colors(4).resize((100, 75)), copies / "4 small.png")
    index(copies)
    assert near_duplicates(library.engine, before) == [id_of(library, "4 small.png")]
    (copies / "4 small.png").unlink()
    index(copies, prune=True)
    assert near_duplicates(library.engine, before) == []


def test_hits_are_grouped_under_the_first_of_them(library: Library, index, copies: Path) -> None:
    index(copies)
    order = ["2 half.webp", "1.jpg", "white.png", "2.jpg", "whiter.png", "1 half.webp"]
    ids = [id_of(library, name) for name in order]
    found = group_near_duplicates(library.engine, [*ids, 999])
    assert found == {
        ids[0]: ids[0],
        ids[1]: ids[1],
        ids[2]: ids[2],
        ids[3]: ids[0],
        ids[4]: ids[4],
        ids[5]: ids[1],
        999: 999,
    }
    assert group_near_duplicates(library.engine, []) == {}


def test_another_shape_or_another_colour_is_another_picture(
    library: Library, index, tmp_path: Path
) -> None:
    picture = blurred_colors(5)
    save(picture, tmp_path / "p" / "a.png")
    save(picture.resize((400, 240)), tmp_path / "p" / "squeezed.png")
    recolored = PilImage.fromarray(np.asarray(picture)[..., ::-1].copy())
    gray = recolored.convert("L").convert("RGB")
    save(gray, tmp_path / "p" / "grey.png")
    save(PilImage.merge("RGB", [picture.convert("L")] * 3), tmp_path / "p" / "drained.png")
    index(tmp_path / "p")
    looks = looks_of(library)
    assert near_duplicates(library.engine, id_of(library, "a.png"), looks) == []
    # Without its look the drained one is told by nothing: its brightness is the same.
    assert near_duplicates(library.engine, id_of(library, "a.png")) == [
        id_of(library, "drained.png")
    ]


def test_a_collection_is_compared_with_itself_only(library: Library, index, copies: Path) -> None:
    index(copies / "small", collection="small")
    index(copies, collection="large")
    assert named(duplicate_groups(library.engine, collection="small")) == []
    index(copies / "small", collection="large")
    assert len(named(duplicate_groups(library.engine, collection="large"))) == 3


def test_pictures_without_a_hash_get_it_from_their_thumbnails(
    library: Library, index, copies: Path
) -> None:
    index(copies)
    expected = named(duplicate_groups(library.engine))
    with library.engine.begin() as connection:
        connection.execute(update(Image).values(perceptual_hash=None))
        connection.execute(update(Counter).values(value=Counter.value + 1))
    assert count_unhashed(library.engine) == 10
    assert near_duplicates(library.engine, id_of(library, "1.jpg")) == []
    with writer_lock(library.data_dir, "test"), pytest.raises(LibraryBusy):
        fill_missing_hashes(library)
    next(library.data_dir.glob("thumbnails/512/*/*.webp")).unlink()
    assert fill_missing_hashes(library) == 9
    assert count_unhashed(library.engine) == 1
    found = [name for group in named(duplicate_groups(library.engine)) for name in group]
    lost = {name for group in expected for name in group} - set(found)
    assert len(lost) <= 1


def put_hashes(engine: Engine, hashes: np.ndarray) -> None:
    rows = [
        {
            "id": at + 1,
            "sha256": at.to_bytes(32, "big"),
            "width": 400,
            "height": 300,
            "format": "jpeg",
            "size_bytes": 1,
            "dominant_color": "#000000",
            "perceptual_hash": int(each),
            "added_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for at, each in enumerate(hashes.view(np.int64))
    ]
    with engine.begin() as connection:
        connection.execute(insert(Image), rows)


def test_among_many_hashes_exactly_the_close_ones_are_grouped(library: Library) -> None:
    """Against comparing all with all, over more than one block of queries."""
    chance = np.random.default_rng(0)
    hashes = chance.integers(1, 2**64, 9000, dtype=np.uint64)
    for place, bits in ((8000, 8), (8001, 9), (4500, 1), (70, 0)):
        mask = sum(1 << int(bit) for bit in chance.choice(64, bits, replace=False))
        hashes[place] = hashes[place % 60] ^ np.uint64(mask)
    put_hashes(library.engine, hashes)
    groups = duplicate_groups(library.engine)
    found = sorted(sorted(picture.id for picture in group.pictures) for group in groups)
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None, :1000])
    close = np.argwhere(distances <= SAME_PICTURE_BITS).tolist()
    assert found == sorted([one + 1, other + 1] for other, one in close if one < other)
    assert len(found) == 3
