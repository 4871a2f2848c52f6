import json
from pathlib import Path

import pytest
from drawn_pictures import draw_picture


@pytest.fixture
def captioned(polyglance, pictures: Path, tmp_path: Path) -> Path:
    assert polyglance("index", pictures, "--model", "starter").status == 0
    captions = tmp_path / "captions.tsv"
    captions.write_text(
        "path\tlanguage\tcaption\n"
        "red.png\ten\ta lighthouse\nsky/blue.png\ten\ta volcano\nred.png\tvi\tngọn hải đăng\n"
        "nowhere.png\ten\ta cat\n",
        "utf-8",
    )
    return captions


def test_eval_tells_recall_by_language_and_what_it_left_out(polyglance, captioned: Path) -> None:
    ran = polyglance("eval", captioned)
    assert ran.status == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert rows[0] == ["language", "captions", "recall@1", "recall@5", "recall@10"]
    assert [row[:2] for row in rows[1:3]] == [["en", "2"], ["vi", "1"]]
    # Six pictures: all of them are among the first ten.
    assert all(row[-1] == "100.0%" for row in rows[1:4])
    assert rows[4] == ["by", "chance", "16.7%", "83.3%", "100.0%"]
    assert "Captions left out: 1 (1 not in the library: nowhere.png)" in ran.err

    answer = json.loads(polyglance("eval", captioned, "--json").out)
    assert answer["model"] == "starter"
    assert answer["pictures"] == 6
    assert answer["languages"]["en"]["captions"] == 2
    assert answer["mean"]["recall@10"] == 1.0
    assert answer["missing"] == ["nowhere.png"]


def test_eval_looks_among_one_collection(polyglance, captioned: Path, tmp_path: Path) -> None:
    draw_picture(tmp_path / "other" / "one.png", (9, 9, 9))
    assert polyglance("index", tmp_path / "other").status == 0
    answer = json.loads(polyglance("eval", captioned, "--collection", "pictures", "--json").out)
    assert answer["pictures"] == 6
    ran = polyglance("eval", captioned, "--collection", "other")
    assert ran.status == 1
    assert "No picture that" in ran.err
    ran = polyglance("eval", captioned, "--collection", "nowhere")
    assert ran.status == 1
    assert "There is no collection 'nowhere'" in ran.err


def test_eval_of_captions_that_cannot_be_read(polyglance, captioned: Path, tmp_path: Path) -> None:
    ran = polyglance("eval", tmp_path / "none.tsv")
    assert ran.status == 1
    assert "none.tsv: No such file" in ran.err
