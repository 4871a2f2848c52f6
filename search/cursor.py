"""Where a page of hits ended, as an opaque text: the next one begins strictly after it."""

import base64
import binascii
import json
from dataclasses import dataclass

from search.errors import FieldError, InvalidRequest


@dataclass(frozen=True)
class Cursor:
    """The last hit given out. New pictures may come in above it; none below is skipped."""

    score: float
    image_id: int
    given: int
    """Hits on the pages so far."""

    def encode(self) -> str:
        plain = json.dumps([self.score, self.image_id, self.given]).encode()
        return base64.urlsafe_b64encode(plain).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Raises InvalidRequest."""
        try:
            padded = text + "=" * (-len(text) % 4)
            score, image_id, given = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
            cursor = cls(float(score), int(image_id), int(given))
        except (binascii.Error, ValueError, TypeError, OverflowError) as error:
            raise InvalidRequest(
                FieldError("cursor", "not a cursor of ours; pass next_cursor on as it came")
            ) from error
        if not 0 <= cursor.given < 2**31 or cursor.score != cursor.score:
            raise InvalidRequest(FieldError("cursor", "not a cursor of ours"))
        return cursor
