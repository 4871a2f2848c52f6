import json
import logging
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from sqlalchemy import select

from indexer.sidecars import MAX_SIDECAR_BYTES, read_sidecars, sidecar_names
from storage.catalog.schema import Location
from storage.library import Library
from storage.records import PictureText
from storage.upkeep.doctor import examine
from storage.words.picture_words import matching_words, texts_of


def said(file_name: str, sidecars: dict[str, bytes | str]) -> list[tuple[str, str]]:
    files = {n: text.encode() if isinstance(text, str) else text for n, text in sidecars.items()}
    return [(each.kind, each.text) for each in read_sidecars(file_name, files.get)]


def test_sidecars_are_called_like_their_picture_with_its_suffix_or_without() -> None:
    names = sidecar_names("a.b.jpg")

    assert {"a.b.jpg.txt", "a.b.txt", "a.b.jpg.json", "a.b.json", "a.b.jpg.xmp"} <= set(names)
    assert "a.txt" not in names
    assert "a.txt" not in sidecar_names("a.txt")  # itself, whatever it is called
    assert len(set(sidecar_names("noext"))) == len(sidecar_names("noext"))


@pytest.mark.parametrize(
    "data",
    [
        "Thuyền ở bến".encode(),
        "Thuyền ở bến\r\n\n".encode("utf-8-sig"),
        "Thuyền ở bến".encode("utf-16"),
        "\ufeffThuyền ở bến".encode("utf-16-be"),
    ],
)
def test_a_text_beside_a_picture_is_its_caption_in_any_unicode(data: bytes) -> None:
    assert said("a.jpg", {"a.txt": data}) == [("caption", "Thuyền ở bến")]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("红色的船，在港口", "gb18030"),
        ("Straße im Café", "latin-1"),
        ("“A boat” – Ñandú", "cp1252"),
    ],
)
def test_a_text_that_is_no_unicode_is_chinese_or_western(text: str, encoding: str) -> None:
    assert said("a.jpg", {"a.jpg.txt": text.encode(encoding)}) == [("caption", text)]


def test_the_json_of_img2dataset_gives_its_caption() -> None:
    record = {"caption": "A red boat", "url": "http://x/a.jpg", "key": "0001", "status": "success",
              "width": 640, "exif": "{}", "sha256": "00"}  # fmt: skip

    assert said("0001.jpg", {"0001.json": json.dumps(record), "0001.txt": "A red boat"}) == [
        ("caption", "A red boat")
    ]


@pytest.mark.parametrize("name", ["IMG_1.jpg.json", "IMG_1.jpg.supplemental-metadata.json"])
def test_the_json_of_takeout_gives_its_description_and_people(name: str) -> None:
    record = {"title": "IMG_1.jpg", "description": "At the sea", "people": [{"name": "Lan"}],
              "photoTakenTime": {"timestamp": "1700000000"}, "geoData": {}}  # fmt: skip

    assert said("IMG_1.jpg", {name: json.dumps(record)}) == [
        ("description", "At the sea"),
        ("keyword", "Lan"),
    ]


def test_a_plain_json_gives_its_texts_and_their_language() -> None:
    record = {"caption": ["Một", "Hai"], "title": "Thuyền", "keywords": ["bến", 7, "biển"],
              "tags": "đỏ, xanh;", "language": "vi"}  # fmt: skip

    texts = read_sidecars("a.jpg", {"a.json": json.dumps(record).encode()}.get)

    assert [(each.kind, each.text) for each in texts] == [
        ("caption", "Một"), ("caption", "Hai"), ("title", "Thuyền"), ("keyword", "bến"),
        ("keyword", "biển"), ("keyword", "đỏ"), ("keyword", "xanh"),
    ]  # fmt: skip
    assert {(each.source, each.language) for each in texts} == {("sidecar", "vi")}


def test_an_xmp_beside_a_picture_gives_its_texts() -> None:
    packet = """<x:xmpmeta xmlns:x="adobe:ns:meta/"
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
        xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:RDF><rdf:Description><dc:title><rdf:Alt>
        <rdf:li xml:lang="vi">Thuyền</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF>
        </x:xmpmeta>"""

    for name in ("a.nef.xmp", "a.xmp"):
        assert read_sidecars("a.nef", {name: packet.encode()}.get) == (
            PictureText("title", "Thuyền", "sidecar", "vi"),
        )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b"{"),
        ("a.json", b"[1, 2]"),
        ("a.json", b"[" * 100_000),
        ("a.json", b'{"caption": {"en": 1}, "people": 7, "keywords": {}, "language": ["x"]}'),
        ("a.xmp", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"),
        ("a.xmp", b""),
        ("a.txt", b"\0\1\2binary"),
        ("a.txt", b""),
        ("a.txt", b" \n\t"),
        ("a.txt", b"x" * (MAX_SIDECAR_BYTES + 1)),
    ],
)
def test_a_sidecar_that_says_nothing_does_not_keep_the_others_from_being_read(
    name: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert said("a.jpg", {name: data, "a.jpg.txt": "A boat"}) == [("caption", "A boat")]

    quiet = (not data.strip(b" \n\t") and name == "a.txt") or b"people" in data
    assert ["passed over" in each.getMessage() for each in caplog.records] == [True] * (not quiet)


def test_a_caption_is_bounded() -> None:
    [(_, text)] = said("a.jpg", {"a.txt": "boat " * 9000})
    assert 9_000 < len(text) <= 10_000


def test_words_beside_and_inside_pictures_are_found_after_indexing(
    index, library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    draw_picture(folder / "a.png", (255, 0, 0))
    draw_picture(folder / "b.png", (0, 0, 255))
    (folder / "a.txt").write_text("Thuyền ở bến")

    index(folder)
    with library.engine.connect() as connection:
        ids = {row.path: row.image_id for row in connection.execute(select(Location))}
    assert [each.image_id for each in matching_words(library.engine, "thuyen", 9)] == [ids["a.png"]]
    (folder / "a.txt").unlink()
    (folder / "b.png.json").write_text('{"caption": "Con mèo"}')
    index(folder)

    assert texts_of(library.engine, list(ids.values())) == {
        ids["b.png"]: [PictureText("caption", "Con mèo", "sidecar")]
    }
    assert matching_words(library.engine, "thuyen", 9) == []
    assert [each.image_id for each in matching_words(library.engine, "meo", 9)] == [ids["b.png"]]
    assert examine(library).findings == []
