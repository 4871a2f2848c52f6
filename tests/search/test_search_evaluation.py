import json
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture

from search.evaluation.captioned import find_captioned
from search.evaluation.captions import Caption, CaptionsUnreadable, read_captions
from search.evaluation.recall import recall_at_k, recall_by_language
from storage.library import Library


def test_recall_at_k_counts_ranks_up_to_k() -> None:
    ranks = [1, 3, None, 2]
    assert [recall_at_k(ranks, k) for k in (1, 2, 3, 10)] == [0.25, 0.5, 0.75, 0.75]


def test_captions_are_read_from_tables_and_json_lines(tmp_path: Path) -> None:
    tsv = tmp_path / "a.tsv"
    tsv.write_text(
        'path\tlanguage\tcaption\na.jpg\tvi\tcon  "mèo"\nb.jpg\t\tmột con chó\n', "utf-8"
    )
    assert read_captions(tsv) == [
        Caption("a.jpg", 'con "mèo"', "vi"),
        Caption("b.jpg", "một con chó", None),
    ]
    table = tmp_path / "a.csv"
    table.write_text('\ufefffile_name,text\na.jpg,"cat, asleep"\n', "utf-8")
    assert read_captions(table) == [Caption("a.jpg", "cat, asleep", None)]
    lines = tmp_path / "a.jsonl"
    rows = [
        {"path": "a.jpg", "caption": ["a cat", "one cat"], "language": "en"},
        {
            "image/key": "b",
            "image/locale": "de",
            "zh": {"caption": ["一只狗"]},
            "vi": {"caption": "chó"},
        },
    ]
    lines.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", "utf-8")
    assert read_captions(lines) == [
        Caption("a.jpg", "a cat", "en"),
        Caption("a.jpg", "one cat", "en"),
        Caption("b", "一只狗", "zh"),
        Caption("b", "chó", "vi"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "line", "says"),
    [
        ("a.tsv", b"picture\tcaption\n", 1, "must name a column 'path'"),
        ("a.csv", b"path,words\n", 1, "must name a column 'caption'"),
        ("a.tsv", b"path\tcaption\na.jpg\t \n", 2, "has no caption of 'a.jpg'"),
        ("a.tsv", b"path\tcaption\n\tcat\n", 2, "which picture"),
        ("a.tsv", b"path\tcaption\n", None, "holds no captions"),
        ("a.tsv", b"path\tcaption\na.jpg\t\xff\n", None, "is no UTF-8 text"),
        ("a.jsonl", b'{"path": "a.jpg", "caption": "x"}\n{', 2, "is no JSON"),
        ("a.jsonl", b"[1]", 1, "must be an object"),
        ("a.jsonl", b'{"path": "a.jpg", "caption": [3]}', 1, "has no caption"),
        ("a.docx", b"", None, "come in .tsv, .csv or .jsonl"),
    ],
)
def test_captions_that_cannot_be_read_name_file_line_and_remedy(
    tmp_path: Path, name: str, content: bytes, line: int | None, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CaptionsUnreadable) as raised:
        read_captions(path)
    assert str(raised.value).startswith(f"{path}, line {line}:" if line else f"{path}:")
    assert says in str(raised.value)


def test_captions_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaptionsUnreadable, match="No such file"):
        read_captions(tmp_path / "none.tsv")


def test_pictures_are_known_by_the_end_of_their_paths(
    library: Library, index, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    draw_picture(folder / "2023" / "a.png", (255, 0, 0))
    draw_picture(folder / "2024" / "a.png", (0, 0, 255))
    draw_picture(folder / "2024" / "b.png", (0, 160, 0))
    (folder / "copy").mkdir()
    (folder / "copy" / "b.png").write_bytes((folder / "2024" / "b.png").read_bytes())
    index(folder)
    names = [
        "2024/a.png",
        "b.png",
        "b",
        f"{folder}/2023/a.png",
        "a.png",
        "4/a.png",
        "c.png",
        "b.jpg",
    ]
    found = find_captioned(library.engine, names)
    assert set(found.image_ids) == {"2024/a.png", "b.png", "b", f"{folder}/2023/a.png"}
    assert found.image_ids["b"] == found.image_ids["b.png"]
    assert len(set(found.image_ids.values())) == 3
    assert found.ambiguous == ("a.png",)
    assert found.missing == ("4/a.png", "c.png", "b.jpg")


def test_recall_is_counted_by_language(
    library: Library, encoder: ColorEncoder, index, pictures: Path
) -> None:
    index(pictures)
    space = library.active_space()
    assert space is not None
    snapshot = library.reader(space).current()
    names = ["red.png", "blue.png", "green.png", "yellow.png"]
    ids = find_captioned(library.engine, names).image_ids
    captions = [
        (Caption("red.png", "red", "en"), ids["red.png"]),
        (Caption("blue.png", "blue", "en"), ids["blue.png"]),
        (Caption("green.png", "blue, as somebody says", "en"), ids["green.png"]),
        (Caption("red.png", "đỏ", None), ids["red.png"]),
        (Caption("yellow.png", "红", "zh"), ids["yellow.png"]),
    ]
    recalls = recall_by_language(encoder, snapshot, captions, cuts=(1, 6))
    assert list(recalls) == ["en", "vi", "zh"]
    assert recalls["en"].captions == 3
    assert recalls["en"].recall == {1: pytest.approx(2 / 3), 6: 1.0}
    assert recalls["vi"].recall == {1: 1.0, 6: 1.0}
    assert recalls["zh"].recall[1] == 0.0
    only = np.array(sorted({ids["yellow.png"], ids["blue.png"]}))
    narrowed = recall_by_language(encoder, snapshot, captions[-1:], cuts=(1, 2), allowed=only)
    assert narrowed["zh"].recall[2] == 1.0


def test_a_caption_of_several_pictures_is_found_with_the_first_of_them(
    library: Library, encoder: ColorEncoder, index, pictures: Path
) -> None:
    index(pictures)
    space = library.active_space()
    assert space is not None
    ids = find_captioned(library.engine, ["red.png", "blue.png"]).image_ids
    captions = [(Caption(name, "red", "en"), ids[name]) for name in ("blue.png", "red.png")]
    recalls = recall_by_language(encoder, library.reader(space).current(), captions, cuts=(1,))
    assert (recalls["en"].captions, recalls["en"].recall[1]) == (1, 1.0)
