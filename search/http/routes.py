"""What the API offers, as a table: the document at /openapi.json is made of it."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from search import schemas
from search.access.config import Scope
from search.http import clip_retrieval
from search.http.pictures_on_disk import THUMBNAIL_SIDES
from search.http.requests import FILTER_FIELDS, LISTS, NEGATION, PLAIN_FIELDS

Schema = dict[str, Any]

BAD_PICTURE = (400, 404, 413, 415, 422)


@dataclass(frozen=True)
class Query:
    """One parameter behind the question mark."""

    name: str
    schema: Schema
    description: str = ""


@dataclass(frozen=True)
class Route:
    """One method of one path. Every route may answer 503 as well."""

    method: str
    path: str
    name: str
    summary: str
    answer: type[BaseModel] | str
    """A schema for JSON, else the media type of what comes."""
    body: type[BaseModel] | None = None
    example: Schema | None = None
    """Of the body."""
    query: tuple[Query, ...] = ()
    problems: tuple[int, ...] = ()
    takes_file: bool = False
    """Whether the body may be multipart too, with the picture as a part."""
    scope: Scope = "read"
    """What a key must cover, where the library has keys."""

    @property
    def group(self) -> str:
        return "API" if self.path.startswith("/api/") else "Service"


def _from(model: type[BaseModel], *names: str) -> tuple[Query, ...]:
    """Fields of a request's body that may stand in the URL instead."""
    properties = model.model_json_schema()["properties"]
    return tuple(Query(name, _never_null(properties[name])) for name in names)


def _never_null(schema: Schema) -> Schema:
    """A URL can leave a field out, and can't say that it is null."""
    kept = {name: value for name, value in schema.items() if name not in ("title", "default")}
    choices = [each for each in kept.pop("anyOf", []) if each.get("type") != "null"]
    return {**kept, **(choices[0] if choices else {})}


LIMIT, CURSOR, LEAST_RELEVANCE, SORT, DIVERSIFY = _from(schemas.SearchRequest, *PLAIN_FIELDS)
LIST_LIMIT = Query("limit", {"type": "integer", "minimum": 1, "default": 100})
LIST_CURSOR = Query("cursor", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1})
SIDE = Query(
    "size",
    {"type": "integer", "enum": list(THUMBNAIL_SIDES), "default": 512},
    "Pixels of the longer side; a small picture is not enlarged.",
)
WORDS = (
    Query(
        "q",
        {"type": "string", "examples": ["con mèo trên bàn"]},
        "What to look for, in any language.",
    ),
    Query(
        "not",
        {"type": "array", "items": {"type": "string"}},
        "What the pictures should have little of; may be given several times.",
    ),
)
READ_NEGATION = Query(
    NEGATION,
    {"type": "boolean", "default": True},
    'Whether "without" and its like in the query are understood, or taken literally.',
)
PAGE = (LIMIT, CURSOR, LEAST_RELEVANCE, SORT, DIVERSIFY)
BY_URL = (*WORDS, READ_NEGATION, *PAGE, *_from(schemas.Filters, *FILTER_FIELDS, *LISTS))

ROUTES = (
    Route(
        "GET",
        "/api/v1/search",
        "search_by_url",
        "Find pictures by words",
        schemas.SearchAnswer,
        query=BY_URL,
        problems=(422,),
    ),
    Route(
        "POST",
        "/api/v1/search",
        "search",
        "Find pictures by words, by pictures, or by both",
        schemas.SearchAnswer,
        body=schemas.SearchRequest,
        example={"query": "con mèo trên bàn", "negative": [{"text": "dog"}], "limit": 5},
        problems=BAD_PICTURE,
        takes_file=True,
    ),
    Route(
        "POST",
        "/api/v1/classify",
        "classify",
        "Which of these labels fits the picture",
        schemas.ClassifyAnswer,
        body=schemas.ClassifyRequest,
        example={"image": {"id": 7}, "labels": ["mèo", "chó"]},
        problems=BAD_PICTURE,
    ),
    Route(
        "POST",
        "/api/v1/embeddings",
        "embeddings",
        "Embeddings of texts and pictures",
        schemas.EmbeddingsAnswer,
        body=schemas.EmbeddingsRequest,
        example={"texts": ["a cat", "con mèo"], "images": [{"id": 7}]},
        problems=BAD_PICTURE,
    ),
    Route(
        "GET",
        "/api/v1/images",
        "images",
        "All pictures, page by page",
        schemas.PictureList,
        query=(LIST_LIMIT, LIST_CURSOR),
        problems=(400, 422),
    ),
    Route(
        "GET",
        "/api/v1/images/{image_id}",
        "image",
        "One picture with its facts",
        schemas.Picture,
        problems=(404,),
    ),
    Route(
        "GET",
        "/api/v1/images/{image_id}/file",
        "image_file",
        "The picture's own file",
        "image/*",
        problems=(404,),
    ),
    Route(
        "GET",
        "/api/v1/images/{image_id}/thumbnail",
        "image_thumbnail",
        "The picture made small",
        "image/webp",
        query=(SIDE,),
        problems=(404, 422),
    ),
    Route(
        "GET",
        "/api/v1/images/{image_id}/similar",
        "similar",
        "Pictures like this one",
        schemas.SearchAnswer,
        query=PAGE,
        problems=(404, 422),
    ),
    Route(
        "GET",
        "/api/v1/images/{image_id}/duplicates",
        "duplicates",
        "Other files of this picture, and pictures that look the same",
        schemas.DuplicateList,
        problems=(404,),
    ),
    Route(
        "GET",
        "/api/v1/collections",
        "collections",
        "The collections and how many pictures each has",
        schemas.CollectionList,
    ),
    Route(
        "GET",
        "/api/v1/jobs",
        "jobs",
        "Indexing jobs, newest first",
        schemas.JobList,
        scope="admin",  # names folders of the machine
    ),
    Route(
        "GET",
        "/api/v1/jobs/{job_id}",
        "job",
        "One job with the files it could not read",
        schemas.JobDetail,
        problems=(404,),
        scope="admin",
    ),
    Route("GET", "/api/v1/stats", "stats", "Counts, model and index", schemas.Stats),
    Route(
        "GET",
        "/indices-list",
        "clip_indices",
        "clip-retrieval: names of the indices",
        clip_retrieval.IndicesList,
    ),
    Route(
        "POST",
        "/knn-service",
        "clip_knn",
        "clip-retrieval: nearest pictures",
        clip_retrieval.KnnAnswer,
        body=clip_retrieval.KnnRequest,
        example={"text": "con mèo", "modality": "image", "num_images": 5, "indice_name": "all"},
        problems=(400, 413, 415, 422),
    ),
    Route(
        "POST",
        "/metadata",
        "clip_metadata",
        "clip-retrieval: metadata of pictures",
        clip_retrieval.MetadataAnswer,
        body=clip_retrieval.MetadataRequest,
        example={"ids": [7], "indice_name": "all"},
        problems=(400, 413, 422),
    ),
    Route(
        "GET", "/healthz", "healthz", "Whether the process is alive", schemas.Alive, scope="open"
    ),
    Route(
        "GET",
        "/readyz",
        "readyz",
        "Whether model and index are loaded",
        schemas.Ready,
        scope="open",
    ),
    Route("GET", "/metrics", "metrics", "For Prometheus", "text/plain", scope="admin"),
    Route("GET", "/openapi.json", "openapi", "This document", "application/json"),
)
