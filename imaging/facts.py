"""What is written about a picture in its file: EXIF, then XMP; read with suspicion."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

from PIL import ExifTags, Image

from imaging.exif_texts import exif_text, read_exif_texts
from imaging.iptc import read_iptc_texts
from imaging.packets import Packets, or_none
from imaging.texts import FactText, cleaned_texts
from imaging.xmp import XmpFacts, read_xmp

ORIENTATION = ExifTags.Base.Orientation

_MOMENT_TAGS = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    (ExifTags.Base.DateTime, ExifTags.Base.OffsetTime),
)
_MOMENT = re.compile(r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)[ T]+(\d\d?):(\d\d?)(?::(\d\d?))?")
_OFFSET = re.compile(r"([+-])(\d\d?):?(\d\d)")
_LONGEST_NAME = 100


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
    texts: tuple[FactText, ...] = ()


def read_orientation(exif: Image.Exif) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 when it is absent or nonsense."""
    orientation = or_none(lambda: exif.get(ORIENTATION))
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def read_facts(packets: Packets) -> ImageFacts:
    main: Mapping[int, Any] = packets.exif
    details = or_none(lambda: packets.exif.get_ifd(ExifTags.IFD.Exif)) or {}
    gps = or_none(lambda: packets.exif.get_ifd(ExifTags.IFD.GPSInfo)) or {}
    xmp = (read_xmp(packets.xmp) if packets.xmp else None) or XmpFacts()
    position = or_none(lambda: _position(gps)) or xmp.position
    return ImageFacts(
        taken_at=_earlier_known(_taken_at(main, details), xmp.taken_at),
        camera=or_none(lambda: _camera(main)) or _camera_name(_bytes(xmp.make), _bytes(xmp.model)),
        lens=or_none(lambda: _name(details.get(ExifTags.Base.LensModel)))
        or _name(_bytes(xmp.lens)),
        latitude=position[0] if position else None,
        longitude=position[1] if position else None,
        texts=cleaned_texts(_texts(packets, details, xmp)),
    )


def _texts(packets: Packets, details: Mapping[int, Any], xmp: XmpFacts) -> Iterable[FactText]:
    yield from xmp.texts
    yield from or_none(lambda: read_iptc_texts(packets.iptc or b"")) or ()
    yield from read_exif_texts(packets.exif, details)


def _earlier_known(exif: datetime | None, xmp: datetime | None) -> datetime | None:
    """EXIF's time before that of XMP, which gives it its offset where they are the same."""
    if exif is None or xmp is None:
        return exif or xmp
    return xmp if exif.tzinfo is None and xmp.replace(tzinfo=None) == exif else exif


def _taken_at(main: Mapping[int, Any], details: Mapping[int, Any]) -> datetime | None:
    for moment_tag, offset_tag in _MOMENT_TAGS:
        place = main if moment_tag == ExifTags.Base.DateTime else details
        moment = or_none(partial(_moment, place, moment_tag))
        if moment is not None:
            return moment.replace(tzinfo=or_none(partial(_offset, details, offset_tag)))
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
    return _camera_name(main.get(ExifTags.Base.Make), main.get(ExifTags.Base.Model))


def _camera_name(made_by: Any, called: Any) -> str | None:
    make, model = _name(made_by), _name(called)
    if make is None or model is None:
        return make or model
    brand = make.split()[0]
    if model.casefold().startswith(brand.casefold()):
        return model
    return f"{make} {model}"[:_LONGEST_NAME]


def _name(value: Any) -> str | None:
    text = _text(value)[:_LONGEST_NAME].strip()
    return text if any(letter.isalnum() for letter in text) else None


def _bytes(text: str | None) -> bytes:
    """As EXIF would have it."""
    return (text or "").encode()


def _text(value: Any) -> str:
    """On one line, without padding."""
    text = exif_text(value).split("\0", 1)[0]
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
