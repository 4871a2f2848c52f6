"""Limits of the search service."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchConfig:
    max_limit: int = 1000
    max_query_characters: int = 2000
    max_upload_bytes: int = 20 * 1024 * 1024
    max_upload_pixels: int = 100_000_000
    decode_seconds: float = 20.0
    """How long a picture that was sent may take to decode."""
    cached_queries: int = 2048
    """Query embeddings kept in memory."""
    fetch_urls: bool = False
    """Whether a picture to search by may be given by its address, which the server then fetches."""
    fetch_timeout_s: float = 10.0
    fetch_allowed_networks: tuple[str, ...] = ()
    """Such as "192.168.1.0/24": may be fetched from, on any port, though they are not public."""
