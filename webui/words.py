"""Values and errors → words in the reader's language."""

import re
from datetime import UTC, date, datetime

from babel import Locale
from babel.dates import get_datetime_format
from babel.units import format_unit
from flask import Flask
from flask_babel import (
    format_date,
    format_decimal,
    format_percent,
    format_time,
    format_timedelta,
    get_locale,
    gettext,
)

from search.config import SearchConfig
from search.errors import (
    DecodersUnavailable,
    ImageUnknown,
    InvalidRequest,
    PictureRejected,
    SearchError,
)
from search.query.language_quality import language_warnings
from search.results import SearchResult
from search.schemas import Filters
from webui.query_pictures import PictureForgotten

FILTER_FIELDS = {"filters", *Filters.model_fields}
TOO_LONG = re.compile(r"The query is long:|The query has \d+ tokens")
"""How the encoders begin to say that they do not read all of a query."""
BYTE_UNITS = ("digital-byte", "digital-kilobyte", "digital-megabyte", "digital-gigabyte")


def file_size(size_bytes: int) -> str:
    size = float(size_bytes)
    unit = 0
    while size >= 1000 and unit < len(BYTE_UNITS) - 1:
        size /= 1000
        unit += 1
    shown = round(size, 1 if size < 10 and unit else None)
    return str(format_unit(shown, BYTE_UNITS[unit], length="short", locale=get_locale()))


def taken(taken_at: str) -> str:
    """EXIF's own wall clock, whatever zone it was in: it is shown as the camera said it."""
    if "T" not in taken_at:  # the day of the file
        return taken_day(taken_at)
    return _day_and_time(datetime.fromisoformat(taken_at), "short")


def taken_day(taken_at: str) -> str:
    return str(format_date(datetime.fromisoformat(taken_at).date(), "medium", rebase=False))


def ago(moment: datetime) -> str:
    """ "2 hours ago"; moment is aware."""
    return str(format_timedelta(moment - datetime.now(UTC), add_direction=True))


def exact_time(moment: datetime) -> str:
    """In the server's own time zone, for which the system's settings speak."""
    return _day_and_time(moment.astimezone(), "medium")


def _day_and_time(moment: datetime, time: str) -> str:
    """By the locale, without the zone; time: how long Babel's form of it is."""
    local = moment.replace(tzinfo=None)
    parts = {
        "{1}": format_date(local, "long", rebase=False),
        "{0}": format_time(local, time, rebase=False),
    }
    pattern = str(get_datetime_format("long", get_locale()))
    for place_of, part in parts.items():
        pattern = pattern.replace(place_of, part)
    return pattern


def month_of_year(first: date, skeleton: str) -> str:
    """Such as "May 2024". skeleton: CLDR's yMMM or yMMMM.

    By the form that names have in dates, but for Russian, where only another is right without a
    day: Babel (2.18) shares the names for standing alone among the locales that have none of their
    own, and gives all of them those of the one that was asked for first.
    """
    pattern = str(get_locale().datetime_skeletons[skeleton].pattern)
    if get_locale().language != "ru":
        pattern = pattern.replace("L", "M")
    return str(format_date(first, pattern, rebase=False))


def place(latitude: float, longitude: float, digits: str = "0.0000") -> str:
    north = gettext("%(degrees)s° N") if latitude >= 0 else gettext("%(degrees)s° S")
    east = gettext("%(degrees)s° E") if longitude >= 0 else gettext("%(degrees)s° W")
    # Read from the right, letters before a number would part it from its °.
    apart = "\u2067%s\u2069" if get_locale().text_direction == "rtl" else "%s"
    return str(
        gettext(
            "%(latitude)s, %(longitude)s",
            latitude=apart % (north % {"degrees": format_decimal(abs(latitude), digits)}),
            longitude=apart % (east % {"degrees": format_decimal(abs(longitude), digits)}),
        )
    )


def iso_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def matched_in(kind: str) -> str:
    """Which of a picture's words, as they head a line of its facts."""
    known = {
        "title": gettext("Title"),
        "caption": gettext("Caption"),
        "keyword": gettext("Keywords"),
        "description": gettext("Description"),
        "name": gettext("File name"),
    }
    return str(known.get(kind, kind))


def theme_name(theme: str) -> str:
    known = {
        "system": gettext("As the system"),
        "light": gettext("Light"),
        "dark": gettext("Dark"),
    }
    return str(known[theme])


def in_words(result: SearchResult, checkpoint: str) -> list[tuple[str, str]]:
    """(language, text) of what is to be said of a query; what has no words here, in English."""
    of_language = language_warnings(checkpoint, result.language)
    rest = [text for text in result.warnings if text not in of_language]
    said = [("en", text) for text in rest if not TOO_LONG.match(text)]
    if len(said) < len(rest):
        words = gettext("The query is long: the model reads only its beginning.")
        said.append(("", str(words)))
    if of_language and result.language:
        locale = get_locale()
        name = Locale.parse(result.language, sep="-").get_display_name(locale)
        words = gettext(
            "The model knows this language less well (%(language)s). English words may find more.",
            language=name,
        )
        said.append(("", str(words)))
    return said


def failure_reason(kind: str) -> str | None:
    """Why a file could not be indexed; None for a kind without words of its own."""
    known = {
        "empty": gettext("The file is empty"),
        "not_an_image": gettext("Not a picture"),
        "unsupported_format": gettext("A kind of picture that can't be read"),
        "truncated": gettext("Cut off: only part of the file is there"),
        "corrupt": gettext("Damaged"),
        "too_large": gettext("Too large"),
        "too_many_pixels": gettext("Too many pixels"),
        "too_slow": gettext("Took too long to read"),
        "out_of_memory": gettext("Needed too much memory"),
        "out_of_reach": gettext("Could not be opened"),
        "changed_while_read": gettext("Changed while it was read"),
        "decoder_crashed": gettext("Damaged"),
        "decoder_failed": gettext("Damaged"),
    }
    return str(known[kind]) if kind in known else None


def job_kind(kind: str) -> str:
    known = {
        "index": gettext("Indexing"),
        "import": gettext("Import"),
        "reindex": gettext("Indexing anew"),
    }
    return str(known.get(kind, kind))


def count_name(name: str) -> str:
    """Of what a job counts."""
    known = {
        "seen": gettext("seen"),
        "new": gettext("new"),
        "changed": gettext("changed"),
        "moved": gettext("moved"),
        "unchanged": gettext("unchanged"),
        "removed": gettext("removed"),
        "failed": gettext("failed"),
        "embedded": gettext("embedded"),
    }
    return str(known.get(name, name))


def job_status(status: str) -> str:
    known = {
        "running": gettext("running"),
        "done": gettext("done"),
        "interrupted": gettext("interrupted"),
        "failed": gettext("failed"),
        "died": gettext("ended without a word"),
    }
    return str(known.get(status, status))


def explain(error: SearchError, config: SearchConfig) -> str:
    """What is wrong and what to do, for the reader of a page."""
    if isinstance(error, ImageUnknown):
        return str(
            gettext(
                "There is no picture %(id)s in this library: it may have been removed.",
                id=error.image_id,
            )
        )
    if isinstance(error, PictureForgotten):
        return str(
            gettext("The picture you searched by is no longer at hand. Choose it once more.")
        )
    if isinstance(error, PictureRejected):
        return _explain_rejected(error, config)
    if isinstance(error, InvalidRequest):
        return _explain_invalid(error, config)
    if isinstance(error, DecodersUnavailable):
        return str(gettext("No more pictures can be read just now. Try again in a moment."))
    return str(error)


def _explain_rejected(error: PictureRejected, config: SearchConfig) -> str:
    heavy = gettext("That picture takes too long or too much memory to read. Send a smaller one.")
    known = {
        "empty": gettext("That file is empty. Choose another picture."),
        "not_an_image": gettext("That file is not a picture. Choose a JPEG, PNG or WebP file."),
        "unsupported_format": gettext(
            "Pictures of that kind can't be read. Convert it to JPEG, PNG or WebP."
        ),
        "truncated": gettext("That picture is cut off: only part of the file is there."),
        "corrupt": gettext("That picture is damaged and can't be read."),
        "decoder_crashed": gettext("That picture is damaged and can't be read."),
        "decoder_failed": gettext("That picture is damaged and can't be read."),
        "too_slow": heavy,
        "out_of_memory": heavy,
        "too_large": gettext(
            "That picture is too large: at most %(size)s can be sent.",
            size=file_size(config.max_upload_bytes),
        ),
        "too_many_pixels": gettext(
            "That picture has too many pixels: at most %(megapixels)s megapixels can be sent.",
            megapixels=format_decimal(config.max_upload_pixels // 1_000_000),
        ),
    }
    return str(known.get(error.kind, error))


def _explain_invalid(error: InvalidRequest, config: SearchConfig) -> str:
    fields = {each.field.partition(".")[0] for each in error.errors}
    if fields <= FILTER_FIELDS:
        return str(gettext("One of the filters can't be understood. Choose it again."))
    if fields == {"cursor"}:
        return str(gettext("That page of results can't be found. Start again from the first."))
    if fields == {"positive"}:
        return str(gettext("That is no picture's number. Choose a picture on the page."))
    if fields == {"query"}:
        return str(
            gettext(
                "That is too long: shorten it to %(most)s characters.",
                most=format_decimal(config.max_query_characters),
            )
        )
    if fields == {"negative"}:
        return str(gettext("What is left out is all that was asked for. Leave out less."))
    return "; ".join(each.message for each in error.errors)


def add_words(app: Flask) -> None:
    """The filters that the templates use."""
    app.jinja_env.filters.update(
        ago=ago,
        count_name=count_name,
        exact_time=exact_time,
        failure_reason=failure_reason,
        file_size=file_size,
        job_kind=job_kind,
        job_status=job_status,
        matched_in=matched_in,
        theme_name=theme_name,
        number=lambda value: str(format_decimal(value)),
        score=lambda value: str(format_decimal(value, "0.000")),
        percent=lambda value: str(format_percent(value)),
        taken=taken,
        taken_day=taken_day,
    )
    app.jinja_env.globals["place"] = place
