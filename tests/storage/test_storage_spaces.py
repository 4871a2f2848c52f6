"""Which space serves, and how one follows another."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from sqlalchemy import select, update

from storage.catalog.schema import Embedding, Shard, Space
from storage.errors import SpaceRemoved
from storage.library import Library
from storage.spaces import (
    activate_space,
    activated_spaces,
    count_missing,
    reactivate_previous,
    space_beside,
    spaces_in_the_making,
)
from storage.upkeep.doctor import examine


@pytest.fixture
def newer() -> ColorEncoder:
    return ColorEncoder("newer colors", version=2)


def names(spaces) -> list[str]:
    return [space.checkpoint for space in spaces]


def test_a_space_beside_does_not_serve_until_it_is_activated(
    library: Library, index, pictures: Path, newer: ColorEncoder
) -> None:
    index(pictures)
    made = space_beside(library.engine, newer.space)
    assert space_beside(library.engine, newer.space) == made
    assert library.active_space().checkpoint == "colors"
    assert names(spaces_in_the_making(library.engine)) == ["newer colors"]
    assert count_missing(library.engine, made.id) == 6
    activate_space(library.engine, made)
    assert library.active_space() == made
    assert names(activated_spaces(library.engine)) == ["newer colors", "colors"]


def test_the_latest_activated_serves_even_if_the_clock_was_set_back(
    library: Library, index, pictures: Path, newer: ColorEncoder
) -> None:
    index(pictures)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with library.engine.begin() as connection:
        connection.execute(update(Space).values(activated_at=tomorrow))
    made = space_beside(library.engine, newer.space)
    activate_space(library.engine, made)
    assert library.active_space() == made


def test_an_undo_brings_back_the_space_before_and_only_that(
    library: Library, index, pictures: Path, newer: ColorEncoder
) -> None:
    index(pictures)
    assert reactivate_previous(library.engine) is None
    activate_space(library.engine, space_beside(library.engine, newer.space))
    back = reactivate_previous(library.engine)
    assert back is not None
    assert back.checkpoint == library.active_space().checkpoint == "colors"
    assert reactivate_previous(library.engine) is None
    assert library.active_space().checkpoint == "colors"


def test_readers_of_a_space_that_was_removed_are_told_which_model_serves(
    library: Library, index, pictures: Path, newer: ColorEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    index(pictures)
    old = library.active_space()
    reader = library.reader(old)
    assert len(reader.current().image_ids) == 6
    made = space_beside(library.engine, newer.space)
    activate_space(library.engine, made)
    assert len(reader.current().image_ids) == 6  # goes on, with a word in the log
    assert "The library now uses the model newer colors" in caplog.text
    library.remove_space(old)
    with pytest.raises(SpaceRemoved, match="newer colors"):
        reader.current()


def test_removing_a_space_leaves_nothing_of_it_and_all_of_the_other(
    library: Library, index, pictures: Path, newer: ColorEncoder
) -> None:
    index(pictures)
    old = library.active_space()
    golden = library.data_dir / "golden"
    golden.mkdir()
    for name in (f"{old.fingerprint[:16]}.npz", f"{old.fingerprint[:16]}-background.npz", "x.npz"):
        (golden / name).write_bytes(b"")
    with library.writer_beside("test", newer.space) as writer:
        activate_space(library.engine, writer.space)
        library.remove_space(old)
    with library.engine.connect() as connection:
        for table in (Embedding, Shard):
            query = select(table).where(table.space_id == old.id)
            assert connection.execute(query).first() is None
    assert not list(library.data_dir.glob(f"*/{old.fingerprint[:16]}*"))
    assert [path.name for path in golden.iterdir()] == ["x.npz"]
    assert names(activated_spaces(library.engine)) == ["newer colors"]
    assert {finding.kind for finding in examine(library).findings} == {"not_embedded"}


def test_a_removed_space_that_comes_back_hides_nothing(
    library: Library, index, pictures: Path, newer: ColorEncoder
) -> None:
    """SQLite gives a removed shard's number again: no index may claim to cover it still."""
    from indexer.config import IndexConfig
    from indexer.reindex import ReindexJob

    index(pictures)
    ReindexJob(library, newer, IndexConfig(workers=1)).run()
    reactivate_previous(library.engine)
    [made] = spaces_in_the_making(library.engine)
    library.remove_space(made)
    ReindexJob(library, newer, IndexConfig(workers=1)).run()
    snapshot = library.reader(library.active_space()).current()
    assert library.active_space().checkpoint == "newer colors"
    assert len(snapshot.image_ids) == 6
    assert examine(library).is_clean


def test_doctor_looks_at_every_space(
    library: Library, index, pictures: Path, newer: ColorEncoder
) -> None:
    from indexer.config import IndexConfig
    from indexer.reindex import ReindexJob
    from storage.upkeep.repair import repair

    index(pictures)
    old = library.active_space()
    ReindexJob(library, newer, IndexConfig(workers=1)).run()
    assert examine(library).is_clean
    [shard] = library.shard_folder(old).glob("part-*.parquet")
    shard.write_bytes(b"damaged")
    assert [each.kind for each in examine(library).findings] == ["shard_damaged"]
    assert repair(library).after.is_clean  # the one that serves lacks nothing
    assert count_missing(library.engine, old.id) == 6
    assert len(library.reader(library.active_space()).current().image_ids) == 6
