import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder
from sqlalchemy import select, text

from storage.catalog.schema import ImageText, Location
from storage.files import collection_id, register_root
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FailedFile, FileStat, IndexedFile, NewImage, PictureText
from storage.words import picture_words
from storage.words.picture_words import (
    fold,
    matching_ids,
    matching_words,
    rebuild_words,
    replace_texts,
    texts_of,
)
from storage.words.word_rows import count_stale_words, refresh_words

Put = Callable[..., dict[str, int]]
Found = Callable[..., list[str]]

SPACE = replace(ColorEncoder().space, dim=4)


def caption(words: str, kind: str = "caption", language: str | None = None) -> PictureText:
    return PictureText(kind, words, "sidecar", language)


def putter(library: Library, folder: Path) -> Put:
    """put({path: texts}) commits files with what stands beside them; answers path → image id.
    The content of a file is its path's, unless `content` names another's."""
    root = register_root(library.engine, folder, "all")

    def commit(
        files: dict[str, list[PictureText]],
        inside: tuple[PictureText, ...] = (),
        content: str | None = None,
        failed: tuple[str, ...] = (),
        moved_from: int | None = None,
    ) -> dict[str, int]:
        batch = Batch()
        for path, texts in files.items():
            sha256 = (content or path).encode("utf-8", "surrogateescape").ljust(32, b".")[-32:]
            batch.images[sha256] = NewImage(sha256, 4, 3, "png", 9, "#000000", texts=inside)
            batch.embeddings[sha256] = np.eye(1, 4, dtype=np.float32)[0]
            stat = FileStat(root.id, path, 9, 1, 1 if texts else None)
            file = IndexedFile(stat, root.collection_id, sha256, moved_from, tuple(texts))
            batch.files.append(file)
        for path in failed:
            batch.failures.append(FailedFile(FileStat(root.id, path, 9, 1), "corrupt", "is", True))
        job_id = start_job(library.engine, "index", "a", [])
        with library.writer("test", SPACE) as writer:
            writer.commit(batch, job_id, {})
        with library.engine.connect() as connection:
            rows = connection.execute(select(Location.path, Location.image_id))
            return {row.path: row.image_id for row in rows}

    return commit


@pytest.fixture
def put(library: Library, tmp_path: Path) -> Put:
    return putter(library, tmp_path / "pictures")


def searcher(library: Library) -> Found:
    """found(query) → the first path of each picture that matches, best first."""

    def search(query: str, limit: int = 10, allowed: list[int] | None = None) -> list[str]:
        ids = None if allowed is None else np.array(allowed, dtype=np.int64)
        with library.engine.connect() as connection:
            rows = connection.execute(select(Location.path, Location.image_id)).all()
        paths = {row.image_id: row.path for row in reversed(rows)}
        return [
            paths[match.image_id] for match in matching_words(library.engine, query, limit, ids)
        ]

    return search


@pytest.fixture
def found(library: Library) -> Found:
    return searcher(library)


CAPTIONS = {
    "1.jpg": "A black cat on a red sofa",
    "2.jpg": "Two cats at the location of the catering",
    "3.jpg": "Con mèo đen ở Hà Nội",
    "4.jpg": "一只黑猫在沙发上",
    "5.jpg": "火箭发射",
    "6.jpg": "ソファの上の黒い猫",
    "7.jpg": "แมวดำบนโซฟา",
    "8.jpg": "고양이가 소파 위에",
    "9.jpg": "무지개",
    "10.jpg": "Кошка на диване",
    "11.jpg": "बिल्ली सोफ़े पर",
    "12.jpg": "Ein Löwe, zwei Löwinnen",
    "13.jpg": "Party 🎉 2024",
}
NAMES = [
    *("pets/cat.jpg", "IMG_20240501 cat 2.JPG", "summer holiday/DSC0042.jpg", "HaNoi2024.png"),
    *("Hà Nội/a.png", "no.suffix at all", "b\udcff.png"),
]


@pytest.fixture(scope="module")
def in_captions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Searches a library of CAPTIONS."""
    with closing(Library.open(tmp_path_factory.mktemp("captions"), create=True)) as library:
        put = putter(library, Path("/pictures"))
        put({path: [caption(words)] for path, words in CAPTIONS.items()})
        yield searcher(library)


@pytest.fixture(scope="module")
def in_names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Searches a library of files with NAMES."""
    with closing(Library.open(tmp_path_factory.mktemp("names"), create=True)) as library:
        putter(library, Path("/pictures"))({name: [] for name in NAMES})
        yield searcher(library)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hà Nội", "ha noi"),
        ("ĐƯỜNG PHỐ", "duong pho"),
        ("Łódź Øresund Straße Æbler", "lodz oresund strasse aebler"),
        ("İstanbul Iğdır", "istanbul igdir"),
        ("ＡＢＣ　１２３", "abc 123"),
        ("Ёлка", "елка"),
        ("Ἀθήνα", "αθηνα"),
        ("أَحْمَد", "احمد"),
        ("مكتبة", "مكتبه"),
        ("فارسی", "فارسي"),
        ("שָׁלוֹם", "שלום"),
        ("ｶﾞｯｺｳ", "ガッコウ"),
        ("٢٠٢٤", "2024"),
    ],
)
def test_spellings_of_one_word_fold_to_one(one: str, other: str) -> None:
    assert fold(one) == fold(other) == other


@pytest.mark.parametrize(
    ("one", "other"),
    [("กิน", "กน"), ("ไม้", "ไม"), ("हिन्दी", "हनद"), ("が", "か"), ("мой", "мои"), ("குடி", "கட")],
)
def test_marks_that_make_another_word_stay(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_what_is_folded_folds_to_itself() -> None:
    for code in range(0, sys.maxunicode + 1, 7):
        folded = fold("a" + chr(code))
        assert fold(folded) == folded


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("cat", {"1.jpg"}),
        ("CATS", {"2.jpg"}),
        ("black sofa", {"1.jpg"}),
        ('"black sofa"', set()),
        ('"red sofa" cat', {"1.jpg"}),
        ("black dog", set()),
        ("meo den", {"3.jpg"}),
        ("Ha Noi", {"3.jpg"}),
        ("猫", {"4.jpg", "6.jpg"}),
        ("火箭", {"5.jpg"}),
        ("箭火", set()),
        ("黑猫 沙发", {"4.jpg"}),
        ("แมว", {"7.jpg"}),
        ("고양이", {"8.jpg"}),
        ("개", set()),
        ("кошка", {"10.jpg"}),
        ("бошка", set()),
        ("बिल्ली", {"11.jpg"}),
        ("lowe", {"12.jpg"}),
        ("lowinn", {"12.jpg"}),
        ('"lowinn"', set()),
        ("cate", {"2.jpg"}),
        ("🎉", {"13.jpg"}),
        ("2024", {"13.jpg"}),
        ("202", set()),
        ("a", {"1.jpg"}),
    ],
)
def test_words_of_every_script_are_found_whole(
    in_captions: Found, query: str, paths: set[str]
) -> None:
    assert set(in_captions(query)) == paths


@pytest.mark.parametrize(
    "query",
    ["cat*", "-cat", "^cat", "(cat", "cat)", "cat + sofa", "cat\0", "\ud800cat", "“cat", "«cat»",
     "「cat」", '"cat', 'cat"sofa"'],
)  # fmt: skip
def test_signs_in_a_query_are_no_syntax(in_captions: Found, query: str) -> None:
    assert in_captions(query) == ["1.jpg"]


@pytest.mark.parametrize(
    "query",
    ['"', '""', "'", "*", "cat OR dog", "NOT dog", "NEAR(cat sofa, 2)", "names:cat", "+", "%", "_",
     "{names words} : cat", "cat AND", "\\", " ", "", "\x02", "\x03", "ca" * 900, "c " * 900,
     " ".join(map(chr, range(0x4E00, 0x4F00)))],
)  # fmt: skip
def test_words_of_the_full_text_language_are_words_like_any(in_captions: Found, query: str) -> None:
    assert in_captions(query) == []


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("cat", {"pets/cat.jpg", "IMG_20240501 cat 2.JPG"}),
        ("jpg", set()),
        ("holiday", {"summer holiday/DSC0042.jpg"}),
        ("dsc0042", {"summer holiday/DSC0042.jpg"}),
        ("dsc 0042", {"summer holiday/DSC0042.jpg"}),
        ("ha noi", {"HaNoi2024.png", "Hà Nội/a.png"}),
        ("2024", {"HaNoi2024.png"}),
        ("20240501", {"IMG_20240501 cat 2.JPG"}),
        ("img_20240501", {"IMG_20240501 cat 2.JPG"}),
        ("no suffix", {"no.suffix at all"}),
        ("pictures", set()),  # the root itself, which may be moved
    ],
)
def test_names_of_files_and_folders_are_found(in_names: Found, query: str, paths: set[str]) -> None:
    assert set(in_names(query)) == paths


def test_texts_rank_before_names_and_whole_words_before_beginnings(put: Put, found: Found) -> None:
    files = {"lion.jpg": [], "a.jpg": [caption("The lioness of the zoo")], "c.jpg": []}
    put(files | {"b.jpg": [caption("The lion of the zoo")]})

    assert set(found("lion")) == {"a.jpg", "b.jpg", "lion.jpg"}
    assert found("lion", limit=1) == ["b.jpg"]
    assert found("zoo lion") == ["b.jpg", "a.jpg"]


def test_a_match_says_what_matched(put: Put, library: Library) -> None:
    inside = (
        PictureText("keyword", "boat", "xmp"),
        PictureText("description", "A red boat", "xmp"),
    )
    ids = put({"boat.jpg": [caption("A boat"), caption("Boats", "title")]}, inside)
    put({"other.jpg": [caption("Boat", "title")]})

    matches = {each.image_id: each.matched for each in matching_words(library.engine, "boat", 10)}

    assert matches == {
        ids["boat.jpg"]: ("title", "caption", "keyword", "description", "name"),
        ids["boat.jpg"] + 1: ("title",),
    }


def test_only_allowed_pictures_are_found_however_many_match_better(put: Put, found: Found) -> None:
    ids = put(
        {f"{n}.jpg": [caption("cat")] for n in range(30)} | {"z.jpg": [caption("a cat, far")]}
    )

    assert found("cat", limit=3, allowed=[ids["z.jpg"]]) == ["z.jpg"]
    assert found("cat", allowed=[]) == []
    assert len(found("cat", limit=100, allowed=sorted(ids.values())[:20])) == 20


def test_the_same_are_found_where_more_are_allowed_than_the_catalog_is_told(
    put: Put, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{'cat' if number % 2 else 'dog'} {number}.jpg": [] for number in range(60)}
    allowed = sorted(put(files).values())[5:50]
    few = found("cat", limit=9, allowed=allowed)
    assert few == [f"cat {number}.jpg" for number in range(5, 23, 2)]
    monkeypatch.setattr(picture_words, "MOST_RANKED", 40)
    assert found("cat", limit=9, allowed=allowed) == few
    assert found("bird", limit=9, allowed=allowed) == []


def test_all_that_match_are_named_without_a_limit(put: Put, library: Library) -> None:
    ids = put({f"{n} cat.jpg": [] for n in range(30)} | {"dog.jpg": []})

    everyone = matching_ids(library.engine, "cat").tolist()

    assert everyone == sorted(set(ids.values()) - {ids["dog.jpg"]})
    assert matching_ids(library.engine, '"').tolist() == []


def test_texts_come_back_with_their_kinds_sources_and_languages(put: Put, library: Library) -> None:
    inside = (PictureText("title", "Boat", "iptc"),)
    ids = put({"a.jpg": [caption("Thuyền", language="vi")], "b.jpg": []}, inside)

    texts = texts_of(library.engine, [ids["a.jpg"], ids["b.jpg"], 99])

    assert texts == {
        ids["a.jpg"]: [*inside, PictureText("caption", "Thuyền", "sidecar", "vi")],
        ids["b.jpg"]: [*inside],
    }


def test_a_sidecar_read_again_replaces_what_it_said(
    put: Put, library: Library, found: Found
) -> None:
    inside = (PictureText("title", "Harbour", "iptc"),)
    put({"a.jpg": [caption("cat")]}, inside)

    put({"a.jpg": [caption("dog")]}, inside)
    assert (found("cat"), found("dog"), found("harbour")) == ([], ["a.jpg"], ["a.jpg"])
    put({"a.jpg": []}, inside)
    assert (found("dog"), found("harbour")) == ([], ["a.jpg"])
    assert count_stale_words(library.engine) == 0


def test_what_stands_beside_one_copy_goes_with_it_and_leaves_the_others(
    put: Put, library: Library, found: Found
) -> None:
    put({"a.jpg": [caption("cat"), caption("pet")]}, content="same")
    put({"b.jpg": [caption("dog"), caption("pet")]}, content="same")
    assert found("cat") == found("dog") == found("pet") == ["a.jpg"]

    with library.engine.connect() as connection:
        first = connection.execute(select(Location.id).where(Location.path == "a.jpg")).scalar_one()
    with library.writer("test", SPACE) as writer:
        writer.forget([first])

    assert (found("cat"), found("a"), found("dog"), found("pet")) == ([], [], ["b.jpg"], ["b.jpg"])


def test_a_file_that_holds_another_picture_takes_its_words_along(
    put: Put, library: Library, found: Found
) -> None:
    put({"a.jpg": [caption("cat")], "b.jpg": []})

    ids = put({"a.jpg": [caption("dog")]}, content="b.jpg")

    assert ids["a.jpg"] == ids["b.jpg"]
    assert (found("cat"), found("dog"), found("b")) == ([], ["a.jpg"], ["a.jpg"])
    assert count_stale_words(library.engine) == 0


def test_a_moved_file_is_found_by_its_new_name_only(
    put: Put, library: Library, found: Found
) -> None:
    put({"old/cat.jpg": [caption("pet")]})
    with library.engine.connect() as connection:
        location_id = connection.execute(select(Location.id)).scalar_one()

    put({"new/dog.jpg": [caption("pet")]}, content="old/cat.jpg", moved_from=location_id)

    assert (found("cat"), found("old"), found("dog")) == ([], [], ["new/dog.jpg"])
    assert found("pet") == ["new/dog.jpg"]
    with library.engine.connect() as connection:
        assert len(connection.execute(select(ImageText.id)).all()) == 1


def test_forgotten_and_failed_files_are_found_no_more_and_come_back_with_their_words(
    put: Put, library: Library, found: Found
) -> None:
    inside = (PictureText("title", "Harbour", "iptc"),)
    put({"a.jpg": [caption("cat")]}, inside)

    put({}, failed=("a.jpg",))
    assert (found("cat"), found("harbour")) == ([], [])
    put({"b.jpg": []}, content="a.jpg")
    assert (found("cat"), found("harbour")) == ([], ["b.jpg"])
    assert count_stale_words(library.engine) == 0


def test_a_folder_indexed_above_a_known_one_gives_its_names(
    library: Library, put: Put, found: Found, tmp_path: Path
) -> None:
    put({"a.jpg": []})
    assert found("pictures") == []

    register_root(library.engine, tmp_path, None)

    assert found("pictures") == ["pictures/a.jpg"]
    assert count_stale_words(library.engine) == 0


def test_pictures_older_than_the_table_are_brought_in_by_the_next_writer(
    put: Put, library: Library, found: Found
) -> None:
    put({"cat.jpg": [], "dog.jpg": []})
    with library.engine.begin() as connection:
        connection.execute(text("DELETE FROM picture_words"))
    assert found("cat") == []

    with library.writer("test", SPACE):
        pass

    assert found("cat") == ["cat.jpg"]


def test_words_change_with_their_transaction_or_not_at_all(
    put: Put, library: Library, found: Found
) -> None:
    image_id = put({"a.jpg": []})["a.jpg"]

    with pytest.raises(ZeroDivisionError), library.engine.begin() as connection:
        replace_texts(connection, {image_id: [PictureText("caption", "cat", "import")]}, ["import"])
        refresh_words(connection, [image_id])
        raise ZeroDivisionError
    assert (found("cat"), texts_of(library.engine, [image_id])) == ([], {})
    with library.engine.begin() as connection:
        replace_texts(connection, {image_id: [PictureText("caption", "cat", "import")]}, ["import"])
        refresh_words(connection, [image_id])
    assert found("cat") == ["a.jpg"]


def test_what_is_made_anew_is_what_was_there(put: Put, library: Library, found: Found) -> None:
    put({path: [caption(words)] for path, words in CAPTIONS.items()})
    query = text("SELECT rowid, names, words FROM picture_words ORDER BY rowid")
    with library.engine.connect() as connection:
        before = connection.execute(query).all()
    with library.engine.begin() as connection:
        connection.execute(text("UPDATE picture_words SET words = 'x' WHERE rowid < 5"))
        connection.execute(text("DELETE FROM picture_words WHERE rowid = 6"))
        connection.execute(text("INSERT INTO picture_words(rowid, names) VALUES (99, ' ghost ')"))
    assert count_stale_words(library.engine) == 6

    rebuild_words(library.engine)

    with library.engine.connect() as connection:
        assert connection.execute(query).all() == before
    assert (found("猫"), found("ghost")) == (["4.jpg", "6.jpg"], [])


def test_a_collection_by_another_name_changes_no_words(put: Put, library: Library) -> None:
    put({"a.jpg": []})
    with library.engine.begin() as connection:
        collection_id(connection, "other")
    assert count_stale_words(library.engine) == 0
