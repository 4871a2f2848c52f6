"""Answers."""

from typing import Any, Literal

from pydantic import Field

from search.schemas.fields import Answer


class Label(Answer):
    label: str
    probability: float
    """Among the labels given; they add up to 1."""
    score: float


class ClassifyAnswer(Answer):
    labels: list[Label]
    """Best first."""
    model: str


class EmbeddingsAnswer(Answer):
    """Embeddings in the order asked, each `dim` numbers of L2 norm 1."""

    texts: list[list[float]]
    images: list[list[float]]
    model: str
    dim: int


Matched = Literal["picture", "title", "caption", "keyword", "description", "name"]


class Hit(Answer):
    id: int
    score: float
    """Cosine of the query with the picture, -1 to 1."""
    relevance: float
    """Calibrated against this library, 0 to 1."""
    probability: float | None
    """The encoder's own estimate that text and picture match; None without a text."""
    path: str
    """Relative to the folder that was indexed, with forward slashes."""
    collection: str
    width: int
    height: int
    format: str
    taken_at: str | None
    caption: str | None
    matched: list[Matched]
    """Where the query was found: in what the picture shows, or in words that came with it."""
    folded: int
    """Further pictures much like this one, left out of the list (`diversify`)."""
    dominant_color: str
    thumbnail_url: str
    image_url: str
    page_url: str


class Took(Answer):
    """Milliseconds."""

    embed: float
    search: float
    total: float


class SearchAnswer(Answer):
    hits: list[Hit]
    next_cursor: str | None
    total: int
    """Pictures that the filters let through, all of them ranked."""
    exact: bool
    nothing_relevant: bool
    model: str
    language: str | None
    """A BCP 47 tag; null where it can't be told, or no words were given."""
    negations: list[str]
    """What the query's own words say should not be there, such as "glasses"."""
    searched_text: str | None
    """What is left of the query without its negations."""
    took_ms: Took
    warnings: list[str]


class Location(Answer):
    path: str
    collection: str


class Picture(Answer):
    """One picture with all its facts."""

    id: int
    sha256: str
    path: str
    collection: str
    locations: list[Location]
    width: int
    height: int
    format: str
    size_bytes: int
    taken_at: str | None
    camera: str | None
    lens: str | None
    latitude: float | None
    longitude: float | None
    dominant_color: str
    added_at: str
    thumbnail_url: str
    image_url: str
    page_url: str


class Duplicate(Answer):
    """A file that holds the same picture, or a picture that looks the same."""

    reason: Literal["same_file", "looks_the_same"]
    """same_file: byte for byte; its id is that of the picture itself."""
    id: int
    path: str
    """Relative to the folder that was indexed, with forward slashes."""
    collection: str
    width: int
    height: int
    format: str
    size_bytes: int
    taken_at: str | None
    thumbnail_url: str
    image_url: str
    page_url: str


class DuplicateList(Answer):
    duplicates: list[Duplicate]
    """Other files of the picture first, then the likest."""


class PictureList(Answer):
    images: list[Picture]
    next_cursor: str | None


class Stats(Answer):
    pictures: int
    searchable: int
    """Pictures in the index or its tail; the difference waits to be embedded."""
    unreadable_files: int
    collections: dict[str, int]
    model: str
    model_notice: str | None
    """Set when the model is a stand-in: what it is and how to get the real one."""
    superseded_by: str | None
    """The model that the library has been moved to since this server was started."""
    dim: int
    fingerprint: str
    index_kind: str | None
    index_generation: str | None
    tail: int
    size_bytes: int


class Job(Answer):
    id: int
    kind: str
    status: str
    model: str
    sources: list[str]
    started_at: str
    finished_at: str | None
    counts: dict[str, Any]
    error: str | None


class JobFailure(Answer):
    path: str
    kind: str
    reason: str


class JobDetail(Job):
    failures: list[JobFailure]


class JobList(Answer):
    jobs: list[Job]


class Collection(Answer):
    name: str
    pictures: int


class CollectionList(Answer):
    collections: list[Collection]


class Alive(Answer):
    status: Literal["alive"]


class Checks(Answer):
    """What a server must have to answer searches; each on its own."""

    model_loaded: bool
    """It embeds."""
    index_loaded: bool
    """The library's catalog and index can be read."""
    self_test_passed: bool
    """The model gives the embeddings that it gave when the library was built."""


class Ready(Answer):
    """Model and index are loaded, and the self-test has passed."""

    status: Literal["ready"]
    checks: Checks
    model: str
    searchable: int
    index_generation: str | None
    superseded_by: str | None
    """The model that the library has been moved to since this server was started. It goes on with
    its own, and does not find what is indexed meanwhile, until it is started again."""


class FieldProblem(Answer):
    field: str
    """Dotted path in the request, such as "filters.near.lat"; empty for the whole."""
    message: str


class Problem(Answer):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default=[])
