"""The JSON API's requests and answers: the one source for validation and for documentation."""

from base64 import b64decode
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from search.errors import FieldError, InvalidRequest
from storage.records import PictureFilter

IsoDate = Annotated[
    str, StringConstraints(pattern=r"^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2})?)?)?)?$")
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

MOST_TEXTS_TO_EMBED = 256
MOST_IMAGES_TO_EMBED = 64

M = TypeVar("M", bound=BaseModel)


def _plain_base64(text: str) -> str:
    """Without line breaks and without the start of a data: URL."""
    plain = "".join((text.partition("base64,")[2] or text).split())
    try:
        b64decode(plain, validate=True)
    except ValueError:
        raise ValueError("is not base64") from None
    return plain


Base64 = Annotated[
    str, AfterValidator(_plain_base64), Field(json_schema_extra={"contentEncoding": "base64"})
]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ImageInput(Request):
    """A picture to search by: one that is indexed, or one sent along."""

    id: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    base64: Base64 | None = None
    """The bytes of an image file; a data: URL will do."""

    @model_validator(mode="after")
    def exactly_one(self) -> "ImageInput":
        if (self.id is None) == (self.base64 is None):
            raise ValueError("give exactly one of id and base64")
        return self

    def sent_bytes(self) -> bytes:
        """Of a picture that was sent along."""
        assert self.base64 is not None
        return b64decode(self.base64)


class Term(Request):
    """Part of a query: a text or a picture, and how much it counts."""

    text: Text | None = None
    image: ImageInput | None = None
    weight: Annotated[float, Field(gt=0, le=10)] = 1.0

    @model_validator(mode="after")
    def exactly_one(self) -> "Term":
        if (self.text is None) == (self.image is None):
            raise ValueError("give exactly one of text and image")
        return self


class Near(Request):
    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    km: Annotated[float, Field(gt=0, le=20_040)] = 5.0


class Filters(Request):
    """Which pictures count; every one given must hold."""

    collection: list[Text] = []
    path: Text | None = None
    taken_after: IsoDate | None = None
    taken_before: IsoDate | None = None
    camera: Text | None = None
    orientation: Literal["landscape", "portrait", "square"] | None = None
    min_width: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    min_height: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    format: list[Text] = []
    near: Near | None = None

    def for_storage(self) -> PictureFilter:
        near = self.near
        return PictureFilter(
            collections=tuple(self.collection),
            path_glob=self.path,
            taken_after=self.taken_after,
            taken_before=self.taken_before,
            camera=self.camera,
            orientation=self.orientation,
            min_width=self.min_width,
            min_height=self.min_height,
            formats=tuple(self.format),
            near=None if near is None else (near.lat, near.lon, near.km),
        )


class SearchRequest(Request):
    query: Text | None = None
    image: ImageInput | None = None
    positive: list[Term] = []
    negative: list[Term] = []
    filters: Filters = Filters()
    limit: Annotated[int, Field(ge=1)] = 20
    cursor: str | None = None
    min_relevance: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def asks_for_something(self) -> "SearchRequest":
        if self.query is None and self.image is None and not self.positive:
            raise ValueError("say what to look for: give query, image or positive")
        return self


class ClassifyRequest(Request):
    image: ImageInput
    labels: Annotated[list[Text], Field(min_length=1, max_length=1000)]


class Label(Answer):
    label: str
    probability: float
    """Among the labels given; they add up to 1."""
    score: float


class ClassifyAnswer(Answer):
    labels: list[Label]
    """Best first."""
    model: str


class EmbeddingsRequest(Request):
    """Texts and pictures to embed in the library's own space; at least one of either."""

    texts: Annotated[list[Text], Field(max_length=MOST_TEXTS_TO_EMBED)] = []
    images: Annotated[list[ImageInput], Field(max_length=MOST_IMAGES_TO_EMBED)] = []

    @model_validator(mode="after")
    def asks_for_something(self) -> "EmbeddingsRequest":
        if not self.texts and not self.images:
            raise ValueError("say what to embed: give texts or images")
        return self


class EmbeddingsAnswer(Answer):
    """Embeddings in the order asked, each `dim` numbers of L2 norm 1."""

    texts: list[list[float]]
    images: list[list[float]]
    model: str
    dim: int


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


class Ready(Answer):
    """Model and index are loaded."""

    status: Literal["ready"]
    model: str
    searchable: int
    index_generation: str | None


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
    errors: list[FieldProblem] = []


def parse_request(model: type[M], data: Any) -> M:
    """Validate. Raises InvalidRequest, which names every field that is wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidRequest(
            *(
                FieldError(".".join(str(part) for part in each["loc"]), _sentence(each["msg"]))
                for each in error.errors(include_url=False, include_context=False)
            )
        ) from None


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
