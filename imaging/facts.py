"""What the camera wrote beside the picture: EXIF, read with suspicion."""

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeVar

from PIL import ExifTags, Image

# What Pillow and this file raise when EXIF is not what it should be.
BROKEN_EXIF = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)

_MOMENT_TAGS = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    (ExifTags.Base.DateTime, ExifTags.Base.OffsetTime),
)
_MOMENT = re.compile(r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)[ T]+(\d\d?):(\d\d?)(?::(\d\d?))?")
_OFFSET = re.compile(r"([+-])(\d\d?):?(\d\d)")
_LONGEST_NAME = 100

_Fact = TypeVar("_Fact")


@dataclass(frozen=True)
class ImageFacts:
    """When, with what and where a picture was taken, as far as its EXIF says so.

    `taken_at` is aware when the camera recorded its offset from UTC, else naive local time.
    Degrees of `latitude` are positive north, of `longitude` positive east.
    """

    taken_at: datetime | None
    camera: str | None
    lens: str | None
    latitude: float | None
    longitude: float | None


def read_exif(image: Image.Image) -> Image.Exif:
    """The picture's EXIF; empty when it has none or none that can be parsed."""
    try:
        return image.getexif()
    except BROKEN_EXIF:
        return Image.Exif()


def read_orientation(exif: Image.Exif) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 when it is absent or nonsense."""
    orientation = _or_none(lambda: exif.get(ExifTags.Base.Orientation))
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def read_facts(exif: Image.Exif) -> ImageFacts:
    main: Mapping[int, Any] = exif
    details = _or_none(lambda: exif.get_ifd(ExifTags.IFD.Exif)) or {}
    gps = _or_none(lambda: exif.get_ifd(ExifTags.IFD.GPSInfo)) or {}
    position = _or_none(lambda: _position(gps))
    return ImageFacts(
        taken_at=_taken_at(main, details),
        camera=_or_none(lambda: _camera(main)),
        lens=_or_none(lambda: _name(details.get(ExifTags.Base.LensModel))),
        latitude=position[0] if position else None,
        longitude=position[1] if position else None,
    )


def _or_none(read: Callable[[], _Fact]) -> _Fact | None:
    """What `read` returns, or None where the EXIF behind it is broken."""
    try:
        return read()
    except BROKEN_EXIF:
        return None


def _taken_at(main: Mapping[int, Any], details: Mapping[int, Any]) -> datetime | None:
    for moment_tag, offset_tag in _MOMENT_TAGS:
        place = main if moment_tag == ExifTags.Base.DateTime else details
        moment = _or_none(partial(_moment, place, moment_tag))
        if moment is not None:
            return moment.replace(tzinfo=_or_none(partial(_offset, details, offset_tag)))
    return None


def _moment(place: Mapping[int, Any], tag: int) -> datetime | None:
    """ "2024:05:31 18:04:59" and its commoner misspellings → a datetime."""
    match = _MOMENT.match(_text(place.get(tag)))
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    # Outside these years a later conversion to UTC may overflow, and no camera was there.
    if not 1800 <= year <= 9000:
        return None
    return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=None)  # noqa: DTZ001


def _offset(details: Mapping[int, Any], tag: int) -> timezone | None:
    text = _text(details.get(tag))
    if text == "Z":
        return UTC
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset)


def _camera(main: Mapping[int, Any]) -> str | None:
    make, model = _name(main.get(ExifTags.Base.Make)), _name(main.get(ExifTags.Base.Model))
    if make is None or model is None:
        return make or model
    brand = make.split()[0]
    if model.casefold().startswith(brand.casefold()):
        return model
    return f"{make} {model}"[:_LONGEST_NAME]


def _name(value: Any) -> str | None:
    text = _text(value)[:_LONGEST_NAME].strip()
    return text if any(letter.isalnum() for letter in text) else None


def _text(value: Any) -> str:
    """EXIF text without its padding; UTF-8 where a camera wrote that for ASCII."""
    if isinstance(value, str):
        value = value.encode("latin-1")
    if not isinstance(value, bytes):
        return ""
    value = value.split(b"\0", 1)[0]
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    printable = (letter if letter.isprintable() else " " for letter in text)
    return " ".join("".join(printable).split())


def _position(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    latitude = _degrees(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "NS")
    longitude = _degrees(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "EW")
    # Cameras without a fix write zeros; the spot itself is open sea.
    if latitude == longitude == 0 or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return latitude, longitude


def _degrees(gps: Mapping[int, Any], tag: int, reference_tag: int, references: str) -> float:
    """Degrees, minutes and seconds → signed degrees. ValueError when they are no position."""
    parts = gps[tag]
    parts = [float(part) for part in (parts if isinstance(parts, tuple) else (parts,))]
    reference = _text(gps[reference_tag]).upper()
    if reference not in tuple(references) or not 1 <= len(parts) <= 3:
        raise ValueError("no hemisphere, or not degrees, minutes and seconds")
    if not all(math.isfinite(part) and part >= 0 for part in parts):
        raise ValueError("a part of the position is not a number")
    degrees = math.fsum(part / (1.0, 60.0, 3600.0)[at] for at, part in enumerate(parts))
    return -degrees if reference == references[1] else degrees
