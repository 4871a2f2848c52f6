"""Limits of the search service."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchConfig:
    max_limit: int = 1000
    max_query_characters: int = 2000
    max_upload_bytes: int = 20 * 1024 * 1024
    max_upload_pixels: int = 100_000_000
    cached_queries: int = 2048
    """Query embeddings kept in memory."""
