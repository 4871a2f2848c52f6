"""Hits in the order of dates, and with near duplicates folded."""

from datetime import datetime
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from PIL import Image

from search.client import Client
from search.engine import SearchEngine
from search.results import SearchResult
from search.schemas import SearchRequest


def ask(engine: SearchEngine, **fields: object) -> SearchResult:
    return engine.search(SearchRequest.model_validate(fields))


def names(result: SearchResult) -> list[str]:
    return [Path(hit.image.path).name for hit in result.hits]


def all_pages(engine: SearchEngine, between=lambda page: None, **fields: object) -> list[str]:
    seen: list[str] = []
    cursor = None
    for page in range(100):
        result = ask(engine, cursor=cursor, **fields)
        seen += names(result)
        cursor = result.next_cursor
        if cursor is None:
            return seen
        between(page)
    raise AssertionError("the paging never ends")


def take_photo(path: Path, color: tuple[int, int, int], taken: str, mark: int = 0) -> Path:
    """A picture with the camera's time in it."""
    draw_picture(path, color, mark)
    exif = Image.Exif()
    stamp = datetime.fromisoformat(taken).strftime("%Y:%m:%d %H:%M:%S")
    exif[0x9003] = exif[0x0132] = stamp
    exif.get_ifd(0x8769)[0x9003] = stamp
    exif[0x0110] = "Test camera"
    with Image.open(path) as image:
        image.save(path, exif=exif)
    return path


def draw_shapes(path: Path, seed: int, dark: int = 100) -> Path:
    """A picture with red in it, and something for a perceptual hash to see."""
    import numpy as np

    noise = np.random.default_rng(seed).integers(120, 256, (6, 8), dtype=np.uint8)
    red = Image.fromarray(noise, "L").resize((320, 240), Image.Resampling.BICUBIC)
    other = Image.new("L", (320, 240), dark)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.merge("RGB", (red, other, other)).save(path)
    return path


@pytest.fixture
def dated(index, pictures: Path) -> Path:
    for day in range(1, 8):
        take_photo(pictures / f"red {day}.png", (255, 0, 0), f"2024-05-0{day}T10:00:00", day)
    take_photo(pictures / "newest, but blue.png", (0, 0, 255), "2024-06-01T10:00:00")
    index(pictures)
    return pictures


def test_by_date_comes_what_is_relevant_and_the_newest_first(
    engine: SearchEngine, dated: Path
) -> None:
    result = ask(engine, query="red", sort="date", filters={"taken_before": "2024-12-31"})
    assert names(result) == [f"red {day}.png" for day in range(7, 0, -1)]
    assert result.total == 7
    assert not result.nothing_relevant
    assert ask(engine, query="a piano concerto", sort="date").hits == []
    assert ask(engine, query="a piano concerto", sort="date").nothing_relevant


def test_pages_by_date_have_no_gaps_and_no_repeats_while_pictures_come_in(
    engine: SearchEngine, index, dated: Path
) -> None:
    before = names(ask(engine, query="red", sort="date"))

    def grow(page: int) -> None:
        day = f"2024-05-0{page + 2}T12:00:00"
        take_photo(dated / f"new {page}.png", (255, 0, 0), day, 100 + page)
        index(dated)

    seen = all_pages(engine, grow, query="red", sort="date", limit=3)
    assert len(seen) == len(set(seen))
    assert [name for name in seen if not name.startswith("new")] == before


@pytest.fixture
def copies(index, pictures: Path) -> Path:
    for seed in range(4):
        first = draw_shapes(pictures / f"shape {seed}.png", seed)
        with Image.open(first) as image:
            image.save(pictures / f"shape {seed} copy.jpg", quality=90)
            image.resize((160, 120)).save(pictures / f"shape {seed} small.png")
    index(pictures)
    return pictures


def test_near_duplicates_are_one_hit_that_counts_the_others(
    engine: SearchEngine, copies: Path
) -> None:
    result = ask(engine, query="red", diversify=True, filters={"path": "shape *"})
    assert {name[:7] for name in names(result)} == {f"shape {seed}" for seed in range(4)}
    assert [hit.folded for hit in result.hits] == [2, 2, 2, 2]
    plain = ask(engine, query="red", filters={"path": "shape *"})
    assert len(plain.hits) == 12
    assert [hit.folded for hit in plain.hits] == [0] * 12


def test_folded_pages_are_full_and_repeat_nothing_while_pictures_come_in(
    engine: SearchEngine, index, copies: Path
) -> None:
    whole = names(ask(engine, query="red", diversify=True))

    def grow(page: int) -> None:
        for seed in range(4 if page == 0 else 0):  # redder, and so above those they look like
            draw_shapes(copies / f"later {seed}.png", seed, dark=92)
        index(copies)

    seen = all_pages(engine, grow, query="red", diversify=True, limit=1)
    assert seen == whole
    assert len(ask(engine, query="red", diversify=True, limit=3).hits) == 3


def test_a_picture_that_comes_in_above_takes_none_from_the_pages_behind(
    engine: SearchEngine, index, pictures: Path
) -> None:
    draw_shapes(pictures / "s" / "above.png", seed=5, dark=96)
    draw_shapes(pictures / "s" / "behind.png", seed=6, dark=100)
    index(pictures)
    asked = {"query": "red", "diversify": True, "filters": {"path": "s/*"}, "limit": 1}
    first = ask(engine, **asked)
    assert names(first) == ["above.png"]
    # Looks like the one behind, and is redder than the one on the first page.
    draw_shapes(pictures / "s" / "redder.png", seed=6, dark=92)
    index(pictures)
    [new, _] = ask(engine, **asked | {"limit": 5}).hits
    assert (Path(new.image.path).name, new.folded) == ("redder.png", 1)
    assert names(ask(engine, **asked, cursor=first.next_cursor)) == ["behind.png"]


def test_a_burst_is_one_hit(engine: SearchEngine, index, pictures: Path) -> None:
    for second in range(4):
        when = f"2024-05-01T10:00:0{2 * second}"
        take_photo(pictures / "b" / f"red {second}.png", (255, 0, 0), when, 1 + second)
    take_photo(pictures / "b" / "red later.png", (255, 0, 0), "2024-05-01T11:00:00", 9)
    take_photo(pictures / "b" / "blue.png", (0, 0, 255), "2024-05-01T10:00:01")
    index(pictures)
    result = ask(engine, query="red", diversify=True, filters={"path": "b/*"})
    folded = {Path(hit.image.path).name: hit.folded for hit in result.hits}
    assert len(folded) == 3
    assert folded["red later.png"] == 0
    assert folded["blue.png"] == 0
    assert sum(folded.values()) == 3


def test_duplicates_of_a_picture_are_its_other_files_and_what_looks_the_same(
    server_url: str, engine: SearchEngine, index, copies: Path
) -> None:
    twin = copies / "elsewhere" / "shape 0 again.png"
    twin.parent.mkdir()
    twin.write_bytes((copies / "shape 0.png").read_bytes())
    index(copies)
    image = ask(engine, query='"shape 0 again"').hits[0].image
    found = Client(server_url).duplicates(image.id).duplicates
    assert [(each.reason, each.path) for each in found if each.reason == "same_file"] == [
        ("same_file", "elsewhere/shape 0 again.png")
    ]
    assert {each.path for each in found if each.reason == "looks_the_same"} == {
        "shape 0 copy.jpg",
        "shape 0 small.png",
    }
