from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture

from search.config import SearchConfig
from search.engine import SearchEngine
from search.errors import ImageUnknown, InvalidRequest
from search.schemas import SearchRequest
from storage.errors import SpaceMismatch


def ask(engine: SearchEngine, **fields: object):
    return engine.search(SearchRequest.model_validate(fields))


def names(result) -> list[str]:
    return [Path(hit.image.path).name for hit in result.hits]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("red", "red.png"),
        ("màu đỏ", "red.png"),
        ("蓝", "blue.png"),
        ("GREEN", "green.png"),
        ("amarillo", "yellow.png"),
    ],
)
def test_a_query_in_any_language_finds_its_picture(
    engine: SearchEngine, query: str, first: str
) -> None:
    result = ask(engine, query=query)
    assert names(result)[0] == first
    assert result.total == 6
    assert result.exact
    assert not result.nothing_relevant


def test_scores_are_cosines_and_fall(engine: SearchEngine, encoder: ColorEncoder) -> None:
    result = ask(engine, query="red")
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= -1.001
    assert max(scores) <= 1.001
    snapshot = engine.snapshot()
    best = snapshot.embedding(result.hits[0].image.id)
    assert scores[0] == pytest.approx(float(best @ encoder.encode_texts(["red"])[0]), abs=1e-3)


def test_a_query_that_nothing_matches_says_so(engine: SearchEngine) -> None:
    assert ask(engine, query="a piano concerto").nothing_relevant


def test_a_negative_pushes_pictures_down(engine: SearchEngine) -> None:
    both = [{"text": "red"}, {"text": "blue"}]
    plain = names(ask(engine, positive=both, limit=2))
    assert set(plain) == {"red.png", "blue.png"}
    without = ask(engine, positive=both, negative=[{"text": "blue"}], limit=1)
    assert names(without) == ["red.png"]


def test_weights_decide_between_two_wishes(engine: SearchEngine) -> None:
    def best(red: float, blue: float) -> str:
        terms = [{"text": "red", "weight": red}, {"text": "blue", "weight": blue}]
        return names(ask(engine, positive=terms, limit=1))[0]

    assert best(2, 1) == "red.png"
    assert best(1, 2) == "blue.png"


def test_a_wish_that_is_wholly_taken_back_is_refused(engine: SearchEngine) -> None:
    with pytest.raises(InvalidRequest, match="takes away all"):
        ask(engine, query="red", negative=[{"text": "red"}])


def test_a_picture_finds_others_and_not_itself(engine: SearchEngine, index, pictures: Path) -> None:
    draw_picture(pictures / "red again.png", (250, 5, 5), mark=3)
    index(pictures)
    red = ask(engine, query="red", limit=2).hits[0].image
    result = ask(engine, image={"id": red.id}, limit=3)
    assert red.id not in [hit.image.id for hit in result.hits]
    assert names(result)[0] in {"red.png", "red again.png"}
    assert result.total == 6


def test_a_picture_that_is_not_there_is_named(engine: SearchEngine) -> None:
    with pytest.raises(ImageUnknown, match="no picture 999"):
        ask(engine, image={"id": 999})


def test_pages_have_no_gaps_and_no_repeats_while_pictures_come_in(
    engine: SearchEngine, index, pictures: Path
) -> None:
    everything = names(ask(engine, query="red"))
    seen: list[str] = []
    cursor = None
    for page in range(10):
        result = ask(engine, query="red", limit=2, cursor=cursor)
        seen += names(result)
        cursor = result.next_cursor
        if cursor is None:
            break
        if page == 0:  # three that belong above the cursor
            for mark in (1, 2, 3):
                draw_picture(pictures / f"new red {mark}.png", (255, 0, 0), mark)
            index(pictures)
    assert cursor is None
    assert [name for name in seen if not name.startswith("new")] == everything
    assert len(set(seen)) == len(seen)


def test_min_relevance_cuts_the_list_and_ends_the_paging(engine: SearchEngine) -> None:
    everything = ask(engine, query="red")
    threshold = everything.hits[0].relevance - 0.01
    result = ask(engine, query="red", min_relevance=threshold, limit=3)
    assert [hit.relevance >= threshold for hit in result.hits] == [True] * len(result.hits)
    assert 1 <= len(result.hits) < 3
    assert result.next_cursor is None


def test_a_changed_picture_is_searched_by_what_it_shows_now(
    engine: SearchEngine, index, pictures: Path
) -> None:
    draw_picture(pictures / "sky" / "blue.png", (255, 0, 0), mark=9)
    index(pictures)
    assert set(names(ask(engine, query="red", limit=2))) == {"red.png", "blue.png"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"collection": ["pictures"]}, 6),
        ({"collection": ["elsewhere"]}, 0),
        ({"path": "plants/*"}, 3),
        ({"path": "*.png"}, 6),
        ({"path": "%"}, 0),
        ({"orientation": "landscape"}, 6),
        ({"orientation": "portrait"}, 0),
        ({"min_width": 64}, 6),
        ({"min_width": 65}, 0),
        ({"format": ["png"]}, 6),
        ({"format": ["JPEG"]}, 0),
        ({"taken_before": "2024-01-01"}, 0),  # the files have just been made
        ({"camera": "canon"}, 0),
        ({"near": {"lat": 21.03, "lon": 105.85}}, 0),
    ],
)
def test_filters_leave_exactly_what_they_let_through(
    engine: SearchEngine, filters: dict, expected: int
) -> None:
    result = ask(engine, query="red", filters=filters)
    assert len(result.hits) == result.total == expected


def test_another_models_encoder_is_refused(engine: SearchEngine) -> None:
    with pytest.raises(SpaceMismatch, match="do not compare"):
        SearchEngine(engine.library, ColorEncoder("other", version=2), SearchConfig())
