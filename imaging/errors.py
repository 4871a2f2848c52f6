"""Why bytes are no picture to us."""

from typing import Literal

UnreadableKind = Literal[
    "empty",
    "not_an_image",
    "truncated",
    "too_many_pixels",
    "too_large",
    "unsupported_format",
    "corrupt",
]


class UnreadableImage(Exception):
    """The bytes can't be made a picture; `kind` says why to programs, `str()` to people.

    The text is what follows the picture's name: "is cut off: only part of the JPEG is there".
    """

    def __init__(self, kind: UnreadableKind, reason: str) -> None:
        super().__init__(reason)
        self.kind: UnreadableKind = kind
