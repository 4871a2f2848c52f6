from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from PIL import Image

from search.engine import SearchEngine
from search.query.negation import read_negation
from search.query.negation_rules import negation_rules
from search.schemas import SearchRequest

READINGS = [
    ("en", "cat without glasses", "cat", ["glasses"]),
    ("en", "a street without cars and people", "a street", ["cars", "people"]),
    ("en", "a cat without glasses on a table", "a cat on a table", ["glasses"]),
    ("en", "a cat without glasses and a dog", "a cat and a dog", ["glasses"]),
    ("en", "a man without a hat and a scarf", "a man", ["hat", "scarf"]),
    ("en", "a beach but no people", "a beach", ["people"]),
    ("en", "dog that has no collar", "dog", ["collar"]),
    ("en", "no people", "", ["people"]),
    ("en", "cat w/o collar", "cat", ["collar"]),
    ("en", "beach -people", "beach", ["people"]),
    ("en", 'a room without "red chairs"', "a room", ["red chairs"]),
    ("vi", "con mèo không đeo kính nằm trên bàn", "con mèo nằm trên bàn", ["kính"]),
    ("vi", "không có người", "", ["người"]),
    ("vi", "khong co nguoi", "", ["nguoi"]),
    ("vi", "bãi biển vắng người", "bãi biển", ["người"]),
    ("zh", "没有人", "", ["人"]),
    ("zh", "没有车和人的街道", "街道", ["车", "人"]),
    ("zh", "无人的街道", "街道", ["人"]),
    ("zh", "猫没有眼镜", "猫", ["眼镜"]),
    ("ja", "人のいない海", "海", ["人"]),
    ("ja", "眼鏡なしの猫", "猫", ["眼鏡"]),
    ("ja", "眼鏡をかけていない猫", "猫", ["眼鏡"]),
    ("ko", "사람이 없는 바다", "바다", ["사람"]),
    ("ko", "차와 사람이 없는 거리", "거리", ["차", "사람"]),
    ("fr", "rue sans voitures ni vélos", "rue", ["voitures", "vélos"]),
    ("de", "Straße ohne Autos und Menschen", "Straße", ["Autos", "Menschen"]),
    ("es", "sin gente", "", ["gente"]),
    ("es", "calle sin coches", "calle", ["coches"]),
    ("pt", "rua sem carros e pessoas", "rua", ["carros", "pessoas"]),
    ("it", "strada senza macchine", "strada", ["macchine"]),
    ("nl", "straat zonder auto's", "straat", ["auto's"]),
    ("sv", "gata utan bilar", "gata", ["bilar"]),
    ("pl", "ulica bez samochodów i ludzi", "ulica", ["samochodów", "ludzi"]),
    ("cs", "kočka bez brýlí", "kočka", ["brýlí"]),
    ("ru", "кот без очков на столе", "кот на столе", ["очков"]),
    ("ru", "людей нет", "", ["людей"]),
    ("uk", "вулиця без машин", "вулиця", ["машин"]),
    ("tr", "gözlüksüz kedi", "kedi", ["gözlük"]),
    ("tr", "gözlüğü olmayan kedi", "kedi", ["gözlüğü"]),
    ("ar", "شارع بدون سيارات", "شارع", ["سيارات"]),
    ("fa", "خیابان بدون ماشین", "خیابان", ["ماشین"]),
    ("hi", "चश्मे के बिना बिल्ली", "बिल्ली", ["चश्मे"]),
    ("hi", "बिना चश्मे के बिल्ली", "बिल्ली", ["चश्मे"]),
    ("bn", "চশমা ছাড়া বিড়াল", "বিড়াল", ["চশমা"]),
    ("th", "แมวไม่มีแว่น", "แมว", ["แว่น"]),
    ("id", "jalan tanpa mobil dan orang", "jalan", ["mobil", "orang"]),
    ("sw", "paka bila miwani", "paka", ["miwani"]),
]


@pytest.mark.parametrize(("language", "query", "wanted", "negatives"), READINGS)
def test_a_query_is_split_into_what_is_wanted_and_what_is_not(
    language: str, query: str, wanted: str, negatives: list[str]
) -> None:
    reading = read_negation(query)
    assert (reading.wanted, list(reading.negatives)) == (wanted, negatives)


def test_every_language_of_the_rules_has_a_reading_here() -> None:
    assert {language for language, *_ in READINGS} == set(negation_rules().grammars)


@pytest.mark.parametrize(
    "query",
    [
        "no parking sign",
        "not only cats",
        "without doubt the best beach",
        "Chanel No. 5",
        "comic sans",
        "Hakuna Matata",
        "orang utan",
        "không gian",
        "无人机",
        "切ない",
        "sonsuz deniz",
        "deniz",
        "gato no telhado",  # Portuguese: a cat on the roof
        "en man med sin hund",  # Swedish: a man with his dog
        '"cat without glasses"',
        "«rue sans voitures»",
        "「人のいない海」",
        "-17",
        "without",
        "1990 - 2000",
    ],
)
def test_what_is_no_negation_or_is_quoted_stays_as_it_is(query: str) -> None:
    reading = read_negation(query)
    assert (reading.wanted, reading.negatives, reading.spans) == (query, (), ())


def test_spans_show_what_was_read_as_a_negation() -> None:
    reading = read_negation("  a street without cars, at night -people ")
    assert [reading.text[start:end] for start, end in reading.spans] == ["without cars", "-people"]
    assert reading.wanted == "a street, at night"


@pytest.mark.parametrize("query", ["without " * 250, "no -" * 500, "ない" * 900, '"' * 1999])
def test_odd_queries_are_read_in_no_time(query: str) -> None:
    assert len(read_negation(query).wanted) <= len(query)


def draw_halves(path: Path, color: tuple[int, int, int], height: int, width: int = 64) -> None:
    """Red, with a stripe of another colour."""
    image = Image.new("RGB", (64, 48), (255, 0, 0))
    image.paste(color, (0, 0, width, height))
    image.save(path)


@pytest.fixture
def reds(engine: SearchEngine, index, pictures: Path) -> Path:
    """Pictures half red, half grey, and redder ones with blue in them, besides the six."""
    for number in range(3):
        draw_halves(pictures / f"rot {number}.png", (128, 128, 128), 24 + number)
    for number in range(8):
        draw_halves(pictures / f"both {number}.png", (0, 0, 255), 20 + number % 2, 64 - number // 2)
    index(pictures)
    return pictures


def found(engine: SearchEngine, **fields: object) -> list[str]:
    result = engine.search(SearchRequest.model_validate(fields))
    return [Path(hit.image.path).name for hit in result.hits]


@pytest.mark.parametrize(
    "query", ["red without blue", "màu đỏ không có màu xanh dương", "rojo sin azul", "红没有蓝"]
)
def test_the_unwanted_falls_below_all_that_is_wanted(
    engine: SearchEngine, reds: Path, query: str
) -> None:
    literally = found(engine, query=query, read_negation=False, limit=4)
    assert sum(name.startswith("both") for name in literally) >= 3
    assert sum(name.startswith("both") for name in found(engine, query="red", limit=4)) >= 3
    best = found(engine, query=query, limit=4)
    assert set(best) == {"red.png", "rot 0.png", "rot 1.png", "rot 2.png"}
    assert len(found(engine, query=query)) == 17


def test_pages_under_a_negation_have_no_gaps_and_no_repeats_while_pictures_come_in(
    engine: SearchEngine, reds: Path, index
) -> None:
    asked = {"query": "red without blue"}
    everything = found(engine, **asked)
    seen: list[str] = []
    cursor = None
    for page in range(20):
        request = SearchRequest.model_validate({**asked, "limit": 3, "cursor": cursor})
        result = engine.search(request)
        seen += [Path(hit.image.path).name for hit in result.hits]
        cursor = result.next_cursor
        if cursor is None:
            break
        if page == 0:
            draw_picture(reds / "new red.png", (255, 0, 0), 77)
            index(reds)
    assert [name for name in seen if name != "new red.png"] == everything


def test_a_query_that_only_says_what_should_not_be_there_finds_all_else_first(
    engine: SearchEngine, reds: Path
) -> None:
    result = engine.search(SearchRequest(query="no red"))
    names = [Path(hit.image.path).name for hit in result.hits]
    assert result.searched_text is None
    assert result.negations == ("red",)
    assert all("red" in name or "rot" in name or "both" in name for name in names[-12:])
    relevances = [hit.relevance for hit in result.hits]
    assert relevances == sorted(relevances, reverse=True)
    assert relevances[0] > 0.5 > relevances[-1]


def test_terms_of_the_api_push_down_in_the_same_way(engine: SearchEngine, reds: Path) -> None:
    by_words = found(engine, query="red without blue")
    by_terms = found(engine, query="red", negative=[{"text": "blue"}])
    assert by_words == by_terms
