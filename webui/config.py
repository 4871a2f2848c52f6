"""What the pages can be told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WebConfig:
    model_notice: str | None = None
    """A quiet line on every page: what users must know of the model, such as that it is a
    stand-in."""
    hits_per_page: int = 40
    similar_pictures: int = 16
    """In the row beneath a picture."""
    query_picture_bytes: int = 128 * 1024 * 1024
    """Memory for the pictures that users sent to search by; the oldest are forgotten."""
