"""The date of a picture that does not say itself when it was taken."""

from dataclasses import replace
from datetime import UTC, date, datetime

from storage.records import FileStat, NewImage

_FIRST_YEAR = 1990
"""Before it are the zeros of archives and of clocks that were never set (1970, 1980)."""


def with_file_date(image: NewImage, stat: FileStat) -> NewImage:
    """A picture without a time of its own gets the day of its file, here where it is read.

    A day and no more: whoever filters or sorts by date expects screenshots and pictures that came
    by a messenger among the others, and nobody may take the file's time for the camera's.
    """
    if image.taken_at is not None:
        return image
    return replace(image, taken_at=_day(stat.mtime_ns))


def _day(mtime_ns: int) -> date | None:
    try:
        day = datetime.fromtimestamp(mtime_ns / 1e9, UTC).astimezone().date()
    except (OverflowError, ValueError, OSError):
        return None
    return day if day.year >= _FIRST_YEAR else None
