"""Requests."""

from base64 import b64decode
from typing import Annotated, Literal

from pydantic import Field, model_validator

from search.schemas.fields import Base64, IsoDate, Request, Text
from storage.records import PictureFilter

MOST_TEXTS_TO_EMBED = 256
MOST_IMAGES_TO_EMBED = 64
MOST_URL_CHARACTERS = 2048


class ImageInput(Request):
    """A picture to search by: one that is indexed, or one sent along."""

    id: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    base64: Base64 | None = None
    """The bytes of an image file; a data: URL will do."""
    url: Annotated[Text, Field(max_length=MOST_URL_CHARACTERS)] | None = None
    """Where the server may fetch it from; refused unless search.fetch_urls is set there."""

    @model_validator(mode="after")
    def exactly_one(self) -> "ImageInput":
        if [self.id, self.base64, self.url].count(None) != 2:
            raise ValueError("give exactly one of id, base64 and url")
        return self

    def sent_bytes(self) -> bytes:
        """Of a picture that was sent along as base64; `search.query.fetch.bytes_of` gets any."""
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

    collection: list[Text] = Field(default=[])
    path: Text | None = None
    taken_after: IsoDate | None = None
    taken_before: IsoDate | None = None
    camera: Text | None = None
    orientation: Literal["landscape", "portrait", "square"] | None = None
    min_width: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    min_height: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    format: list[Text] = Field(default=[])
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


Sort = Literal["relevance", "date"]


class SearchRequest(Request):
    query: Text | None = None
    """Words in any language; in quotes, only pictures whose own words say so."""
    image: ImageInput | None = None
    positive: list[Term] = Field(default=[])
    negative: list[Term] = Field(default=[])
    filters: Filters = Filters()
    limit: Annotated[int, Field(ge=1)] = 20
    cursor: str | None = None
    min_relevance: Annotated[float, Field(ge=0, le=1)] = 0.0
    sort: Sort = "relevance"
    """By date: of what is relevant the newest first, what has no date last."""
    diversify: bool = False
    """Near duplicates and bursts as one hit that says how many it stands for."""
    read_negation: bool = True
    """Whether "without" and its like in the query are understood, or taken literally."""

    @model_validator(mode="after")
    def asks_for_something(self) -> "SearchRequest":
        if self.query is None and self.image is None and not self.positive:
            raise ValueError("say what to look for: give query, image or positive")
        return self


class ClassifyRequest(Request):
    image: ImageInput
    labels: Annotated[list[Text], Field(min_length=1, max_length=1000)]


class EmbeddingsRequest(Request):
    """Texts and pictures to embed in the library's own space; at least one of either."""

    texts: list[Text] = Field(default=[], max_length=MOST_TEXTS_TO_EMBED)
    images: list[ImageInput] = Field(default=[], max_length=MOST_IMAGES_TO_EMBED)

    @model_validator(mode="after")
    def asks_for_something(self) -> "EmbeddingsRequest":
        if not self.texts and not self.images:
            raise ValueError("say what to embed: give texts or images")
        return self
