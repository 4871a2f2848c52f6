import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    (folder / "old").mkdir(parents=True)
    patches = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(patches).resize((400, 300), Image.Resampling.BICUBIC)
    picture.save(folder / "large.png")
    picture.save(folder / "old" / "the same.png")
    picture.resize((200, 150)).save(folder / "old" / "small.jpg")
    Image.new("RGB", (64, 64), "white").save(folder / "white.png")
    return folder


def test_duplicates_lists_copies_and_what_they_take(polyglance, copies: Path) -> None:
    assert polyglance("index", copies, "--model", "starter").status == 0
    ran = polyglance("duplicates", "--json")
    assert ran.status == 0
    report = json.loads(ran.out)
    [group] = report["groups"]
    large, small = group["pictures"]
    assert large["files"] == [str(copies / "large.png"), str(copies / "old" / "the same.png")]
    assert (large["width"], large["height"], large["format"]) == (400, 300, "png")
    assert small["files"] == [str(copies / "old" / "small.jpg")]
    spare = sum((copies / "old" / name).stat().st_size for name in ("the same.png", "small.jpg"))
    assert (report["spare_files"], report["spare_bytes"]) == (2, spare)

    ran = polyglance("duplicates")
    assert "3 files, look the same" in ran.out
    assert "Nothing was deleted" in ran.out
    assert ran.out.index("large.png") < ran.out.index("small.jpg")

    exact = json.loads(polyglance("duplicates", "--exact", "--json").out)
    assert [each["exact"] for each in exact["groups"]] == [True]
    assert polyglance("duplicates", "--near", "--collection", "copies").status == 0
    assert sorted(path.name for path in copies.rglob("*.*")) == [
        "large.png",
        "small.jpg",
        "the same.png",
        "white.png",
    ]


def test_duplicates_of_a_collection_that_is_not_there(polyglance, copies: Path) -> None:
    assert polyglance("index", copies / "white.png", "--model", "starter").status == 0
    assert polyglance("duplicates").out == "No duplicates.\n"
    ran = polyglance("duplicates", "--collection", "nowhere")
    assert ran.status == 1
    assert "There is no collection 'nowhere'" in ran.err
