"""What the pages can be told."""

from dataclasses import dataclass, field

from search.access.config import AccessConfig


@dataclass(frozen=True)
class WebConfig:
    model_notice: str | None = None
    """A quiet line on every page: what users must know of the model, such as that it is a
    stand-in."""
    hits_per_page: int = 40
    newest_pictures: int = 24
    """On the page that nothing has been asked on yet."""
    similar_pictures: int = 16
    """In the row beneath a picture."""
    query_picture_bytes: int = 128 * 1024 * 1024
    """Memory for the pictures that users sent to search by; the oldest are forgotten."""
    access: AccessConfig = field(default_factory=AccessConfig)
    """Who may come in, from where and how often."""
