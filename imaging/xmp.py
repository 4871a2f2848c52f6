"""XMP: what programs write about a picture, as XML, inside its file or beside it.

The XML is from strangers. Its parser is expat with every document type refused, so that there are
no entities to expand and nothing is fetched; size and depth are bounded.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from imaging.texts import FactText, cleaned_texts

MAX_XMP_BYTES = 1024 * 1024
_MAX_DEPTH = 40

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_EXIF_EX = "{http://cipa.jp/exif/1.0/}"
_AUX = "{http://ns.adobe.com/exif/1.0/aux/}"
_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_IPTC = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

_TEXTS = (
    (f"{_DC}title", "title"),
    (f"{_PHOTOSHOP}Headline", "title"),
    (f"{_DC}description", "description"),
    (f"{_IPTC}AltTextAccessibility", "description"),
    (f"{_IPTC}ExtDescrAccessibility", "description"),
    (f"{_EXIF}UserComment", "description"),
    (f"{_DC}subject", "keyword"),
)
_MOMENTS = (
    f"{_EXIF}DateTimeOriginal",
    f"{_PHOTOSHOP}DateCreated",
    f"{_EXIF}DateTimeDigitized",
    f"{_XMP}CreateDate",
)
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"
)
_DEGREES = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])")


@dataclass(frozen=True)
class XmpFacts:
    """What an XMP packet says; in the terms of ImageFacts."""

    taken_at: datetime | None = None
    make: str | None = None
    model: str | None = None
    lens: str | None = None
    position: tuple[float, float] | None = None
    texts: tuple[FactText, ...] = ()


def read_xmp(packet: bytes) -> XmpFacts | None:
    """None for what is no XMP that can be read."""
    root = _parsed(packet)
    if root is None:
        return None
    properties: dict[str, list[ElementTree.Element | str]] = {}
    for description in root.iter(f"{_RDF}Description"):
        for name, value in description.attrib.items():
            properties.setdefault(name, []).append(value)
        for child in description:
            properties.setdefault(child.tag, []).append(child)
    values = {name: list(_values(found)) for name, found in properties.items()}
    first = {name: found[0][0] for name, found in values.items() if found}
    moments = (_moment(first.get(name, "")) for name in _MOMENTS)
    return XmpFacts(
        taken_at=next(filter(None, moments), None),
        make=first.get(f"{_TIFF}Make"),
        model=first.get(f"{_TIFF}Model"),
        lens=first.get(f"{_EXIF_EX}LensModel") or first.get(f"{_AUX}Lens"),
        position=_position(first),
        texts=cleaned_texts(
            FactText(kind, text, "xmp", language)
            for name, kind in _TEXTS
            for text, language in values.get(name, ())
        ),
    )


class _Refused(Exception):
    """XML that is not what XMP is made of."""


def _parsed(packet: bytes) -> ElementTree.Element | None:
    """The tree of a packet, with names as {namespace}name."""
    if len(packet) > MAX_XMP_BYTES:
        return None
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise _Refused
        builder.start(_qualified(name), {_qualified(k): v for k, v in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_qualified(name))

    def refuse(*_: Any) -> None:
        raise _Refused

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(packet.strip(b"\0 \t\r\n"), True)
        return builder.close()
    except (expat.ExpatError, _Refused, AssertionError, ValueError, LookupError):
        return None


def _qualified(name: str) -> str:
    return "{" + name if "}" in name else name


def _values(found: list[ElementTree.Element | str]) -> Iterator[tuple[str, str | None]]:
    """(text, language) of a property: plain, or the items of its Alt, Bag or Seq."""
    for value in found:
        if isinstance(value, str):
            yield value, None
            continue
        items = list(value.iter(f"{_RDF}li"))
        for element in items or [value]:
            text = "".join(element.itertext())
            language = element.get(_LANGUAGE)
            if text.strip():
                yield text, None if language in {None, "", "x-default"} else language


def _moment(text: str) -> datetime | None:
    """ISO 8601 as XMP has it; a date without a time says too little."""
    match = _MOMENT.match(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute = (int(match[at]) for at in range(1, 6))
    zone = _zone(match[7])
    try:
        moment = datetime(year, month, day, hour, minute, int(match[6] or 0), tzinfo=zone)
    except ValueError:
        return None
    return moment if 1800 <= year <= 9000 else None


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    if offset >= timedelta(hours=24):
        return None
    return timezone(-offset if text[0] == "-" else offset)


def _position(first: dict[str, str]) -> tuple[float, float] | None:
    latitude = _degrees(first.get(f"{_EXIF}GPSLatitude", ""), "NS", 90)
    longitude = _degrees(first.get(f"{_EXIF}GPSLongitude", ""), "EW", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None
    return latitude, longitude


def _degrees(text: str, references: str, most: int) -> float | None:
    """ "21,1.8N" or "21,1,48N" → signed degrees."""
    match = _DEGREES.fullmatch(text.strip())
    if match is None or match[4] not in references:
        return None
    degrees = math.fsum((int(match[1]), float(match[2]) / 60, float(match[3] or 0) / 3600))
    if degrees > most:
        return None
    return -degrees if match[4] == references[1] else degrees
