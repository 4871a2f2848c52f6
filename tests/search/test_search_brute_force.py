"""The engine against brute force: random libraries, filters, deletions and generations."""

import itertools
import shutil
from pathlib import Path

import pytest
from brute_force_library import BruteForceLibrary, Facts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.config import SearchConfig
from search.engine import SearchEngine, SearchResult
from search.errors import ImageUnknown
from search.schemas import Filters, ImageInput, SearchRequest, Term

COLLECTIONS = ("holiday", "work")
FORMATS = ("jpeg", "png")
FOLDERS = ("a", "b")
QUIETLY = settings(
    derandomize=True,  # the same libraries in every run
    database=None,
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

facts = st.builds(
    Facts,
    shares=st.tuples(*[st.integers(0, 2)] * 3, st.just(0), st.integers(0, 1)).filter(any),
    width=st.integers(1, 3),
    height=st.integers(1, 3),
    format=st.sampled_from(FORMATS),
    month=st.integers(1, 12),
    collection=st.sampled_from(COLLECTIONS),
    folder=st.sampled_from(FOLDERS),
)
added = st.lists(facts, min_size=1, max_size=12)
many_added = st.lists(facts, min_size=10, max_size=20)
places = st.integers(0, 1000)
changes = st.one_of(
    st.tuples(st.just("delete"), places),
    st.tuples(st.just("add"), added),
    st.tuples(st.just("copy"), places, st.sampled_from(COLLECTIONS)),
    st.tuples(st.just("fold")),
)
steps = st.one_of(
    st.lists(changes, max_size=6),
    st.lists(changes, min_size=2, max_size=4).map(lambda after: [("fold",), *after]),
)
filter_fields = {
    "collection": st.sampled_from(COLLECTIONS).map(lambda name: [name]),
    "path": st.sampled_from(("a/*", "b/*", "copies/*", "nowhere/*")),
    "format": st.sampled_from(FORMATS).map(lambda name: [name]),
    "min_width": st.integers(1, 4),
    "taken_after": st.integers(1, 12).map(lambda month: f"2024-{month:02d}-01"),
    "orientation": st.sampled_from(("landscape", "portrait", "square")),
}
filters = st.one_of(
    st.just(Filters()),
    *[st.builds(Filters, **{name: value}) for name, value in filter_fields.items()],
    st.builds(Filters, **{name: filter_fields[name] for name in ("collection", "path", "format")}),
)
weights = st.sampled_from((1.0, 0.3, 2.5))
texts = st.builds(Term, text=st.sampled_from(("red", "vàng", "red 黄", "blue")), weight=weights)
pictures = st.builds(
    Term, image=st.integers(1, 12).map(lambda number: ImageInput(id=number)), weight=weights
)
queries = st.lists(texts | pictures, min_size=1, max_size=3)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library without pictures, to copy from: making one takes longer than a whole example."""
    folder = tmp_path_factory.mktemp("empty") / "library"
    made = BruteForceLibrary(folder)
    with made.writer():
        made.library.close()
    return folder


@pytest.fixture
def fresh(empty: Path, tmp_path: Path):
    """fresh() gives a new library; the one before is closed."""
    made: list[BruteForceLibrary] = []
    numbers = itertools.count()

    def make() -> BruteForceLibrary:
        if made:
            made.pop().library.close()
        folder = tmp_path / str(next(numbers))
        shutil.copytree(empty, folder)
        made.append(BruteForceLibrary(folder))
        return made[0]

    yield make
    if made:
        made.pop().library.close()


def engine_over(there: BruteForceLibrary) -> SearchEngine:
    return SearchEngine(there.library, there.encoder, SearchConfig())


def do(there: BruteForceLibrary, step: tuple) -> None:
    name, *arguments = step
    getattr(there, name)(*arguments)


def listed(result: SearchResult) -> list[tuple[int, float]]:
    return [(hit.image.id, hit.score) for hit in result.hits]


def asks_for_a_deleted_one(there: BruteForceLibrary, request: SearchRequest) -> bool:
    asked = [term.image.id for term in request.positive if term.image is not None]
    return any(each not in there.pictures or not there.pictures[each].files for each in asked)


@QUIETLY
@given(first=many_added, steps=steps, query=queries, chosen=filters, page=st.integers(1, 7))
def test_hits_order_ties_and_pages_are_those_of_brute_force(
    fresh, first, steps, query, chosen, page
) -> None:
    there = fresh()
    there.add(first)
    engine = engine_over(there)
    request = SearchRequest(positive=query, filters=chosen, limit=1000)
    for step in [None, *steps]:
        if step is not None:
            do(there, step)
        if asks_for_a_deleted_one(there, request):
            with pytest.raises(ImageUnknown):
                engine.search(request)
            continue
        expected = there.expected(request)
        result = engine.search(request)
        assert listed(result) == expected
        assert (result.total, result.exact, result.next_cursor) == (len(expected), True, None)
        by_pages = list(all_pages(engine, request.model_copy(update={"limit": page})))
        assert list(itertools.chain.from_iterable(by_pages)) == expected
        assert all(len(each) == page for each in by_pages[:-1])


@QUIETLY
@given(first=many_added, steps=steps, query=st.lists(texts, min_size=1, max_size=2), chosen=filters)
def test_paging_neither_repeats_nor_skips_while_the_library_changes(
    fresh, first, steps, query, chosen
) -> None:
    there = fresh()
    there.add(first)
    request = SearchRequest(positive=query, filters=chosen, limit=2)
    throughout = {number for number, _ in there.expected(request)}
    waiting = iter(steps)
    hits: list[tuple[int, float]] = []
    for page in all_pages(engine_over(there), request):
        hits += page
        for step in itertools.islice(waiting, 1):
            do(there, step)
            throughout &= {number for number, _ in there.expected(request)}
    numbers = [number for number, _ in hits]
    assert len(numbers) == len(set(numbers))
    assert throughout <= set(numbers)
    assert hits == sorted(hits, key=lambda hit: (-hit[1], hit[0]))


def all_pages(engine: SearchEngine, request: SearchRequest):
    cursor = None
    while True:
        result = engine.search(request.model_copy(update={"cursor": cursor}))
        yield listed(result)
        cursor = result.next_cursor
        if cursor is None:
            return
