import json
from pathlib import Path

import pytest
from drawn_pictures import draw_picture

from search.engine import SearchEngine
from search.ranking.fusion import reciprocal_rank
from search.results import SearchResult
from search.schemas import SearchRequest


def ask(engine: SearchEngine, **fields: object) -> SearchResult:
    return engine.search(SearchRequest.model_validate(fields))


def names(result: SearchResult) -> list[str]:
    return [Path(hit.image.path).name for hit in result.hits]


def draw_captioned(path: Path, color: tuple[int, int, int], caption: str, mark: int = 0) -> Path:
    draw_picture(path, color, mark)
    path.with_suffix(".txt").write_text(caption, "utf-8")
    return path


def all_pages(engine: SearchEngine, between=lambda page: None, **fields: object) -> list[int]:
    """Ids of the hits, page by page; between: called after each page."""
    seen: list[int] = []
    cursor = None
    for page in range(100):
        result = ask(engine, cursor=cursor, **fields)
        seen += [hit.image.id for hit in result.hits]
        cursor = result.next_cursor
        if cursor is None:
            return seen
        between(page)
    raise AssertionError("the paging never ends")


def test_reciprocal_rank_puts_first_what_both_rankings_name() -> None:
    assert reciprocal_rank([1, 2, 3], [3, 4]) == [3, 1, 2, 4]
    assert reciprocal_rank([1, 2], []) == [1, 2]
    assert reciprocal_rank([], [7, 8]) == [7, 8]


@pytest.fixture
def captioned(index, pictures: Path) -> Path:
    draw_captioned(pictures / "a.png", (0, 0, 255), "Ngày hội ở Hà Nội", 1)
    draw_captioned(pictures / "b.png", (0, 160, 0), "A red letter day in Hà Nội", 2)
    index(pictures)
    return pictures


def test_words_that_came_with_pictures_join_in_and_say_so(
    engine: SearchEngine, captioned: Path
) -> None:
    result = ask(engine, query="Ha Noi", limit=3)
    found = {hit.image.path: hit for hit in result.hits}
    assert found["a.png"].matched == ("caption",)
    assert found["a.png"].caption == "Ngày hội ở Hà Nội"
    assert found["a.png"].relevance >= 0.5
    assert not result.nothing_relevant


def test_a_picture_may_match_by_what_it_shows_and_by_its_words(
    engine: SearchEngine, captioned: Path
) -> None:
    result = ask(engine, query="red")
    matched = {hit.image.path: hit.matched for hit in result.hits}
    assert matched["red.png"] == ("picture", "name")
    assert matched["b.png"] == ("caption",)
    assert names(result)[0] == "red.png"
    assert names(result).index("b.png") < len(names(result)) - 2
    assert result.total == len(result.hits) == 8


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('"hà nội"', {"a.png", "b.png"}),
        ("“red letter day”", {"b.png"}),
        ("「Hà Nội」", {"a.png", "b.png"}),
        ("«đêm đen»", {"đêm đen.png"}),
        ('"letter red"', set()),
        ('"nowhere"', set()),
    ],
)
def test_a_query_in_quotes_finds_only_pictures_with_these_words(
    engine: SearchEngine, captioned: Path, query: str, expected: set[str]
) -> None:
    result = ask(engine, query=query)
    assert set(names(result)) == expected
    assert result.total == len(expected)
    assert result.nothing_relevant == (not expected)
    assert result.exact
    assert all(hit.relevance >= 0.5 for hit in result.hits)


def test_numbers_in_files_names_are_matched_only_literally(
    engine: SearchEngine, index, pictures: Path
) -> None:
    draw_picture(pictures / "IMG_1234.png", (0, 0, 255), 9)
    index(pictures)
    by_number = ask(engine, query="1234")
    assert all("name" not in hit.matched for hit in by_number.hits)
    assert names(ask(engine, query='"1234"')) == ["IMG_1234.png"]
    assert names(ask(engine, query="IMG_1234"))[:2].count("IMG_1234.png") == 1


def test_a_clause_that_takes_pictures_away_takes_them_from_the_words_too(
    engine: SearchEngine, captioned: Path
) -> None:
    result = ask(engine, query="Hà Nội", negative=[{"text": "green"}])
    relevance = {hit.image.path: hit.relevance for hit in result.hits}
    assert relevance["a.png"] >= 0.5 > relevance["b.png"]


def test_fused_pages_have_no_gaps_and_no_repeats_while_captions_come_in(
    engine: SearchEngine, index, pictures: Path
) -> None:
    for mark in range(1, 9):
        draw_captioned(pictures / f"c{mark}.png", (0, 0, 255), f"red day {mark}", mark)
    index(pictures)
    before = [hit.image.id for hit in ask(engine, query="red").hits]
    assert len(before) == 14

    def grow(page: int) -> None:
        draw_captioned(pictures / f"new {page}.png", (255, 0, 0), "red red red", 20 + page)
        index(pictures)

    seen = all_pages(engine, grow, query="red", limit=3)
    assert len(seen) == len(set(seen))
    assert [each for each in seen if each in before] == before


@pytest.mark.parametrize("query", ['"red"', "red"])
def test_fused_pages_are_the_whole_list_cut_in_pieces(
    engine: SearchEngine, captioned: Path, query: str
) -> None:
    whole = [hit.image.id for hit in ask(engine, query=query).hits]
    for limit in (1, 2, 3, 5):
        assert all_pages(engine, query=query, limit=limit) == whole


def test_min_relevance_keeps_what_its_words_make_relevant(
    engine: SearchEngine, captioned: Path
) -> None:
    result = ask(engine, query="red", min_relevance=0.55)
    assert set(names(result)) == {"red.png", "b.png"}
    assert result.next_cursor is None
    ids = all_pages(engine, query="red", min_relevance=0.55, limit=1)
    assert ids == [hit.image.id for hit in result.hits]


def test_filters_hold_for_words_too(engine: SearchEngine, captioned: Path) -> None:
    assert names(ask(engine, query="Hà Nội", filters={"path": "sky/*"})).count("a.png") == 0
    assert names(ask(engine, query='"Hà Nội"', filters={"path": "a.*"})) == ["a.png"]


def test_the_api_tells_what_matched_and_how_the_query_was_read(client, captioned: Path) -> None:
    answer = client.get("/api/v1/search", query_string={"q": "Hà Nội không có mưa"}).json
    assert answer["negations"] == ["mưa"]
    assert answer["searched_text"] == "Hà Nội"
    assert answer["language"] == "vi"
    assert {tuple(hit["matched"]) for hit in answer["hits"]} >= {("caption",)}
    literal = {"q": "Hà Nội không có mưa", "negation": "false"}
    assert client.get("/api/v1/search", query_string=literal).json["negations"] == []


def test_a_cursor_that_was_tampered_with_is_refused(client) -> None:
    import base64
    import zlib

    for fields in ([], [1], {"a": 1}, [0.1, 1, 2, [1], 5, None, [], None, None], 7):
        packed = base64.urlsafe_b64encode(zlib.compress(json.dumps(fields).encode())).decode()
        response = client.get("/api/v1/search", query_string={"q": "red", "cursor": packed})
        assert response.status_code == 422
        assert response.json["errors"][0]["field"] == "cursor"
    bomb = base64.urlsafe_b64encode(zlib.compress(b"[" + b" " * 50_000_000 + b"]")).decode()
    assert client.get(f"/api/v1/search?q=red&cursor={bomb}").status_code == 422
