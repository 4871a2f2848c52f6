"""What the engine found; `search.http.api` and `webui` put it into their own words."""

from dataclasses import dataclass

from storage.records import ImageRecord


@dataclass(frozen=True)
class RankedImage:
    image: ImageRecord
    score: float
    relevance: float
    probability: float | None
    """The encoder's own estimate that text and picture match; None without a text."""
    matched: tuple[str, ...] = ("picture",)
    """Where the query was found, as in schemas.Matched."""
    caption: str | None = None
    folded: int = 0
    """Further pictures much like this one, left out."""


@dataclass(frozen=True)
class SearchResult:
    hits: list[RankedImage]
    next_cursor: str | None
    total: int
    exact: bool
    nothing_relevant: bool
    embed_ms: float
    search_ms: float
    total_ms: float
    warnings: list[str]
    language: str | None = None
    """Of the query's words, as a BCP 47 tag; None where it can't be told."""
    negations: tuple[str, ...] = ()
    """What the query's own words say should not be there."""
    negation_spans: tuple[tuple[int, int], ...] = ()
    """Where they say so: of the query in NFC, without white space at its ends."""
    searched_text: str | None = None
    """What is left of the query without its negations."""
