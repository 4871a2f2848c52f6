import os
from datetime import datetime
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from PIL import ExifTags, Image
from sqlalchemy import select

from storage.catalog.schema import Image as ImageRow
from storage.library import Library
from storage.pictures import filter_ids
from storage.records import PictureFilter

NOON = int(datetime(2024, 5, 1, 12).timestamp())  # noqa: DTZ001  (here, wherever that is)


def taken(library: Library) -> list[str | None]:
    with library.engine.connect() as connection:
        return list(connection.execute(select(ImageRow.taken_at).order_by(ImageRow.id)).scalars())


@pytest.mark.parametrize(
    ("mtime", "date"),
    [(NOON, "2024-05-01"), (0, None), (315_532_800, None), (-NOON, None)],
)
def test_a_picture_that_says_no_time_has_the_day_of_its_file(
    index, library: Library, tmp_path: Path, mtime: int, date: str | None
) -> None:
    draw_picture(tmp_path / "pictures" / "a.png", (255, 0, 0))
    os.utime(tmp_path / "pictures" / "a.png", (mtime, mtime))

    index(tmp_path / "pictures")

    assert taken(library) == [date]


def test_a_file_of_a_year_that_no_number_holds_is_indexed_and_known_again(
    index, library: Library, tmp_path: Path
) -> None:
    draw_picture(tmp_path / "pictures" / "a.png", (255, 0, 0))
    os.utime(tmp_path / "pictures" / "a.png", (10**11, 10**11))

    assert index(tmp_path / "pictures").counts.new == 1
    assert index(tmp_path / "pictures").counts.unchanged == 1


def test_the_time_of_the_camera_goes_before_that_of_the_file(
    index, library: Library, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.DateTime] = "2019:07:04 10:20:30"
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (64, 48), "red").save(tmp_path / "pictures" / "a.jpg", exif=exif)

    index(tmp_path / "pictures")

    assert taken(library) == ["2019-07-04T10:20:30"]


def test_filters_by_date_count_the_day_of_the_file_in_full(
    index, library: Library, tmp_path: Path
) -> None:
    draw_picture(tmp_path / "pictures" / "a.png", (255, 0, 0))
    os.utime(tmp_path / "pictures" / "a.png", (NOON, NOON))
    index(tmp_path / "pictures")

    def let_through(**chosen: str) -> int:
        return len(filter_ids(library.engine, PictureFilter(**chosen)))

    assert let_through(taken_after="2024-05-01", taken_before="2024-05-01") == 1
    assert let_through(taken_after="2024-05-02") == let_through(taken_before="2024-04-30") == 0
