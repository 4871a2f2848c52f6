import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import draw_picture

from search.engine import SearchEngine
from search.ranking.filtering import FilteredPictures
from search.schemas import SearchRequest
from storage.index.snapshot import KEPT_FILTERS
from storage.library import Library
from storage.pictures import filter_ids
from storage.records import PictureFilter

PNG = PictureFilter(formats=("png",))
RED = PictureFilter(path_glob="*red*")


@pytest.fixture
def filtered(library: Library) -> FilteredPictures:
    return FilteredPictures(library.engine)


def test_a_filter_lets_through_what_the_catalog_says(
    engine: SearchEngine, filtered: FilteredPictures
) -> None:
    snapshot = engine.snapshot()
    for chosen in (PNG, RED, PictureFilter(formats=("bmp",)), PictureFilter(path_glob="*e*")):
        ids = filtered.of(chosen, snapshot)
        assert ids.tolist() == filter_ids(engine.library.engine, chosen).tolist()
        assert ids.dtype == np.int64
    assert len(filtered.of(PNG, snapshot)) == 6
    assert len(filtered.of(RED, snapshot)) == 1


def test_the_same_array_is_given_until_the_library_changes(
    engine: SearchEngine, filtered: FilteredPictures, index, pictures: Path
) -> None:
    before = filtered.of(RED, engine.snapshot())
    assert filtered.of(RED, engine.snapshot()) is before
    draw_picture(pictures / "darkred.png", (120, 0, 0))
    index(pictures)
    after = filtered.of(RED, engine.snapshot())
    assert set(before.tolist()) < set(after.tolist())
    assert len(after) == 2


def test_a_picture_that_came_in_later_is_found_with_the_same_filter(
    engine: SearchEngine, index, pictures: Path
) -> None:
    asked = SearchRequest.model_validate({"query": "red", "filters": {"path": "*red*"}})
    assert engine.search(asked).total == 1
    draw_picture(pictures / "darkred.png", (120, 0, 0))
    index(pictures)
    assert engine.search(asked).total == 2
    (pictures / "red.png").unlink()
    index(pictures, prune=True)
    assert [Path(hit.image.path).name for hit in engine.search(asked).hits] == ["darkred.png"]


def test_few_filters_are_kept_and_no_older_state_of_the_library(
    engine: SearchEngine, filtered: FilteredPictures, index, pictures: Path
) -> None:
    snapshot = engine.snapshot()
    first = weakref.ref(filtered.of(PNG, snapshot))
    for number in range(KEPT_FILTERS):
        filtered.of(PictureFilter(min_width=number + 1), snapshot)
    gc.collect()
    assert first() is None
    old = weakref.ref(filtered.of(PNG, snapshot))
    del snapshot
    draw_picture(pictures / "darkred.png", (120, 0, 0))
    index(pictures)
    filtered.of(RED, engine.snapshot())
    gc.collect()
    assert old() is None
