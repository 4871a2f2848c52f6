"""What can be wrong with a request.

SearchError
├── InvalidRequest      the request can't be answered as it stands; names each field
├── ImageUnknown        no picture of that id
├── PictureRejected     the picture sent along can't be used
└── DecodersUnavailable no picture can be decoded now
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    field: str
    """Dotted path in the request, such as "filters.near.lat"; "" for the whole."""
    message: str


class SearchError(Exception):
    """Base of all errors that the engine raises on purpose."""

    errors: tuple[FieldError, ...] = ()
    """The fields that are to blame, where there is more than one that could be."""


class InvalidRequest(SearchError):
    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{each.field}: {each.message}" for each in errors))
        self.errors = errors


class ImageUnknown(SearchError):
    """field: where the request names the picture, if it names several."""

    def __init__(self, image_id: int, field: str | None = None) -> None:
        super().__init__(f"There is no picture {image_id} in this library.")
        self.image_id = image_id
        if field is not None:
            self.errors = (FieldError(field, str(self)),)


class PictureRejected(SearchError):
    """kind: as in `imaging.UnreadableImage`, and decoder_crashed, decoder_failed, too_slow and
    out_of_memory. field: where the picture stands among several."""

    def __init__(self, kind: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        if field is not None:
            self.errors = (FieldError(field, message),)


class DecodersUnavailable(SearchError):
    """All decode workers are busy, or none can be started; the picture is not to blame."""
