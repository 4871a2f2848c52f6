"""Where a page of hits ended, as an opaque text: the next one begins strictly after it."""

import base64
import binascii
import json
import math
import zlib
from dataclasses import dataclass

from search.errors import FieldError, InvalidRequest

MOST_BYTES = 64 * 1024
"""Of a cursor once it is unpacked."""
MOST_LEAD = 1000

Judged = tuple[float, float, float]
"""`search.ranking.relevance.Judge` as numbers."""


@dataclass(frozen=True)
class Cursor:
    """The last hit given out, and what the rest of the ranking can't be made again without.

    New pictures may come in above it; none below is skipped.
    """

    score: float
    image_id: int
    given: int
    """Hits on the pages so far."""
    lead: tuple[int, ...] = ()
    """Pictures before all others, where words and pictures were ranked together."""
    led: int = 0
    """How many of the lead are behind us."""
    base: tuple[float, int] | None = None
    """Where the pictures behind the lead begin: strictly after this score and id."""
    judges: tuple[Judged, ...] = ()
    """What unwanted things are judged by, in the order of the request."""
    newest: int | None = None
    """The newest picture that there was at the first page; later ones are left out."""
    date: str | None = None
    """When the last hit was taken, where hits are in the order of dates; "" without a date."""

    def encode(self) -> str:
        fields = [
            self.score,
            self.image_id,
            self.given,
            list(self.lead),
            self.led,
            self.base,
            list(self.judges),
            self.newest,
            self.date,
        ]
        plain = json.dumps(fields, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(zlib.compress(plain, 9)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Raises InvalidRequest."""
        try:
            return cls._from_fields(_unpacked(text))
        except (binascii.Error, zlib.error, ValueError, TypeError, OverflowError) as error:
            raise InvalidRequest(
                FieldError("cursor", "not a cursor of ours; pass next_cursor on as it came")
            ) from error

    @classmethod
    def _from_fields(cls, fields: list[object]) -> "Cursor":
        score, image_id, given, lead, led, base, judges, newest, date = fields
        cursor = cls(
            score=_number(score),
            image_id=_whole(image_id),
            given=_whole(given, 2**31),
            lead=tuple(_whole(each) for each in _listed(lead, MOST_LEAD)),
            led=_whole(led, 2**31),
            base=None if base is None else _position(base),
            judges=tuple(_judged(each) for each in _listed(judges, MOST_LEAD)),
            newest=None if newest is None else _whole(newest),
            date=None if date is None else str(date),
        )
        if cursor.led > len(cursor.lead):
            raise ValueError("more of the lead is given than there is")
        return cursor


def _unpacked(text: str) -> list[object]:
    padded = text + "=" * (-len(text) % 4)
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(base64.urlsafe_b64decode(padded.encode("ascii")), MOST_BYTES)
    fields = json.loads(plain)
    if not isinstance(fields, list):
        raise TypeError
    return fields


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise TypeError
    return float(value)


def _whole(value: object, limit: int = 2**63) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < limit:
        raise ValueError
    return value


def _listed(value: object, most: int) -> list[object]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError
    return value


def _position(value: object) -> tuple[float, int]:
    score, image_id = _listed(value, 2)
    return _number(score), _whole(image_id)


def _judged(value: object) -> Judged:
    share, even, width = (_number(each) for each in _listed(value, 3))
    if not 0 <= share <= 1 or width <= 0:
        raise ValueError
    return share, even, width
