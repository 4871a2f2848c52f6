"""The HTTP interface of clip-retrieval's server, so that its clients work here unchanged.

What it offers beyond ours has no effect here: aesthetic scores, safety and violence filters, its
multilingual model (ours is one) and deduplication (a picture is indexed once, however many files
hold it). An index is one collection, or all of them.
"""

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from flask import Blueprint, Response, request, url_for
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, RootModel

from search.engine import SearchEngine
from search.errors import FieldError, InvalidRequest
from search.http.answers import shown_path
from search.http.problems import register_problems
from search.http.requests import json_object_of_any_type
from search.schemas import Answer, Base64, Filters, SearchRequest, parse_request
from storage.pictures import count_by_collection, filter_ids, get_images
from storage.records import ImageRecord, PictureFilter

EVERYTHING = "all"
"""The index that holds every collection."""
MOST_IDS = 10_000

OUR_NAMES = {"positive.0.text": "text", "limit": "num_images", "image.url": "image_url"}
"""What the engine complains about, by the name it has here."""


def _none_if_empty(value: object) -> object:
    return None if value in ("", []) else value


OrEmpty = BeforeValidator(_none_if_empty)


class ClipRequest(BaseModel):
    """Fields not named here are accepted and have no effect."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)
    indice_name: str = EVERYTHING
    """One of /indices-list."""


class KnnRequest(ClipRequest):
    """One of text, image and embedding_input; the first that is given counts."""

    text: Annotated[str | None, OrEmpty] = None
    image: Annotated[Base64 | None, OrEmpty] = None
    image_url: Annotated[str | None, OrEmpty] = None
    """Refused unless search.fetch_urls is set."""
    embedding_input: Annotated[list[FiniteFloat] | None, OrEmpty] = None
    modality: Literal["image"] = "image"
    num_images: Annotated[int, Field(ge=1)] = 100
    """Hits that come with their metadata."""
    num_result_ids: Annotated[int | None, Field(ge=1)] = None
    """Hits altogether, those beyond num_images by id alone; as num_images where it is left out."""


class MetadataRequest(ClipRequest):
    ids: Annotated[
        list[Annotated[int, Field(ge=0, lt=2**63, strict=True)]], Field(max_length=MOST_IDS)
    ]


class Metadata(Answer):
    image_path: str
    """Relative to the folder that was indexed."""
    url: str
    collection: str
    width: int
    height: int


class KnnHit(Answer):
    id: int
    similarity: float
    image_path: str | None = None
    url: str | None = None
    collection: str | None = None
    width: int | None = None
    height: int | None = None


class MetadataOfId(Answer):
    id: int
    metadata: Metadata


class IndicesList(RootModel[list[str]]):
    pass


class KnnAnswer(RootModel[list[KnnHit]]):
    """The best first."""


class MetadataAnswer(RootModel[list[MetadataOfId]]):
    """In the order asked, without the ids that the index does not hold."""


def make_blueprint(engine: SearchEngine) -> Blueprint:
    clip = Blueprint("clip_retrieval", __name__)
    register_problems(clip)

    @clip.get("/indices-list")
    def indices_list() -> Response:
        return _answer(IndicesList(_indices(engine)))

    @clip.post("/knn-service")
    def knn_service() -> Response:
        asked = parse_request(KnnRequest, json_object_of_any_type(request))
        return _answer(KnnAnswer(_hits(engine, asked)))

    @clip.post("/metadata")
    def metadata() -> Response:
        asked = parse_request(MetadataRequest, json_object_of_any_type(request))
        collections = _collections(engine, asked)
        wanted = asked.ids
        if collections:
            held = set(_ids_of(engine, collections).tolist())
            wanted = [each for each in wanted if each in held]
        images = get_images(engine.library.engine, wanted)
        there = [images[each] for each in wanted if each in images]
        return _answer(
            MetadataAnswer([MetadataOfId(id=each.id, metadata=_metadata(each)) for each in there])
        )

    return clip


def _answer(model: RootModel[list[str]] | KnnAnswer | MetadataAnswer) -> Response:
    return Response(model.model_dump_json(exclude_none=True), mimetype="application/json")


def _indices(engine: SearchEngine) -> list[str]:
    names = count_by_collection(engine.library.engine)
    return [EVERYTHING, *(name for name in names if name != EVERYTHING)]


def _collections(engine: SearchEngine, asked: ClipRequest) -> list[str]:
    """Those that the index holds; empty for all. Raises InvalidRequest."""
    if asked.indice_name == EVERYTHING:
        return []
    known = _indices(engine)
    if asked.indice_name not in known:
        raise InvalidRequest(FieldError("indice_name", f"is one of {', '.join(known)}"))
    return [asked.indice_name]


def _ids_of(engine: SearchEngine, collections: list[str]) -> NDArray[np.int64]:
    """Ascending."""
    return filter_ids(engine.library.engine, PictureFilter(collections=tuple(collections)))


def _hits(engine: SearchEngine, asked: KnnRequest) -> list[KnnHit]:
    if asked.num_images > engine.config.max_limit:
        most = f"{asked.num_images} is more than {engine.config.max_limit}"
        raise InvalidRequest(FieldError("num_images", most))
    count = min(asked.num_result_ids or asked.num_images, engine.config.max_limit)
    collections = _collections(engine, asked)
    if asked.text is not None or asked.image is not None or asked.image_url is not None:
        ranked = _by_text_or_image(engine, asked, collections, count)
    elif asked.embedding_input is not None:
        ranked = _by_embedding(engine, asked.embedding_input, collections, count)
    else:
        raise InvalidRequest(FieldError("", "give one of text, image and embedding_input"))
    return [
        KnnHit(
            id=image.id,
            similarity=round(score, 6),
            **(_metadata(image).model_dump() if place < asked.num_images else {}),
        )
        for place, (image, score) in enumerate(ranked)
    ]


def _by_text_or_image(
    engine: SearchEngine, asked: KnnRequest, collections: list[str], count: int
) -> list[tuple[ImageRecord, float]]:
    sent = None
    if asked.text is None:
        sent = {"url": asked.image_url} if asked.image is None else {"base64": asked.image}
    # As a term: taken literally and ranked by similarity alone, as its clients expect.
    words = [{"text": asked.text}] if asked.text is not None else []
    fields = {"positive": words, "image": sent, "limit": count}
    try:
        search = parse_request(
            SearchRequest, {**fields, "filters": Filters(collection=collections)}
        )
        hits = engine.search(search).hits
    except InvalidRequest as error:
        named = (
            replace(each, field=OUR_NAMES.get(each.field, each.field)) for each in error.errors
        )
        raise InvalidRequest(*named) from error
    return [(hit.image, hit.score) for hit in hits]


def _by_embedding(
    engine: SearchEngine, embedding: list[float], collections: list[str], count: int
) -> list[tuple[ImageRecord, float]]:
    if len(embedding) != engine.space.dim:
        wrong = f"has {len(embedding)} numbers; {engine.space.checkpoint} has {engine.space.dim}"
        raise InvalidRequest(FieldError("embedding_input", wrong))
    vector = np.array(embedding, dtype=np.float64)
    largest = np.abs(vector).max()
    if largest == 0:
        raise InvalidRequest(FieldError("embedding_input", "is all zeros: it has no direction"))
    vector /= largest  # first, so that no square overflows
    snapshot = engine.snapshot()
    allowed = None
    if collections:
        allowed = _ids_of(engine, collections)
        allowed = np.intersect1d(allowed, snapshot.image_ids, assume_unique=True)
    found = snapshot.nearest((vector / np.linalg.norm(vector)).astype(np.float32), count, allowed)
    images = get_images(engine.library.engine, found.image_ids.tolist())
    pairs = zip(found.image_ids.tolist(), found.scores.tolist(), strict=True)
    return [(images[image_id], score) for image_id, score in pairs if image_id in images]


def _metadata(image: ImageRecord) -> Metadata:
    return Metadata(
        image_path=shown_path(image.path),
        url=url_for("api.image_file", image_id=image.id, _external=True),
        collection=image.collection,
        width=image.width,
        height=image.height,
    )
