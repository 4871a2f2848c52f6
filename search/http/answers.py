"""Records of the storage and results of the engine → the API's answers."""

from typing import Literal, cast

from flask import has_app_context, url_for

from search import schemas
from search.embeddings import Embedded
from search.engine import RankedImage, SearchEngine, SearchResult
from search.ranking.looks import looks_of
from storage.duplicates import near_duplicates
from storage.files import locations_of, readable_name
from storage.jobs import count_failures
from storage.pictures import count_by_collection, count_images, get_images
from storage.records import FailureRecord, ImageRecord, JobRecord


def _urls(image_id: int) -> dict[str, str]:
    if not has_app_context():  # no web server answers, but MCP, which passes no addresses on
        return {"thumbnail_url": "", "image_url": "", "page_url": ""}
    return {
        "thumbnail_url": url_for("api.image_thumbnail", image_id=image_id),
        "image_url": url_for("api.image_file", image_id=image_id),
        "page_url": f"/pictures/{image_id}",
    }


def hit(ranked: RankedImage) -> schemas.Hit:
    image = ranked.image
    return schemas.Hit(
        id=image.id,
        score=round(ranked.score, 6),
        relevance=round(ranked.relevance, 4),
        probability=None if ranked.probability is None else round(ranked.probability, 6),
        path=shown_path(image.path),
        collection=image.collection,
        width=image.width,
        height=image.height,
        format=image.format,
        taken_at=image.taken_at,
        caption=ranked.caption,
        matched=cast(list[schemas.Matched], list(ranked.matched)),
        folded=ranked.folded,
        dominant_color=image.dominant_color,
        **_urls(image.id),
    )


def search_answer(result: SearchResult, engine: SearchEngine) -> schemas.SearchAnswer:
    return schemas.SearchAnswer(
        hits=[hit(each) for each in result.hits],
        next_cursor=result.next_cursor,
        total=result.total,
        exact=result.exact,
        nothing_relevant=result.nothing_relevant,
        model=engine.space.checkpoint,
        language=result.language,
        negations=list(result.negations),
        searched_text=result.searched_text,
        took_ms=schemas.Took(
            embed=round(result.embed_ms, 2),
            search=round(result.search_ms, 2),
            total=round(result.total_ms, 2),
        ),
        warnings=result.warnings,
    )


def embeddings(made: Embedded, engine: SearchEngine) -> schemas.EmbeddingsAnswer:
    return schemas.EmbeddingsAnswer(
        texts=made.texts.tolist(),
        images=made.images.tolist(),
        model=engine.space.checkpoint,
        dim=engine.space.dim,
    )


def picture(image: ImageRecord, engine: SearchEngine) -> schemas.Picture:
    locations = locations_of(engine.library.engine, image.id)
    return schemas.Picture(
        id=image.id,
        sha256=image.sha256.hex(),
        path=shown_path(image.path),
        collection=image.collection,
        locations=[
            schemas.Location(path=shown_path(each.path), collection=each.collection)
            for _, each in locations
        ],
        width=image.width,
        height=image.height,
        format=image.format,
        size_bytes=image.size_bytes,
        taken_at=image.taken_at,
        camera=image.camera,
        lens=image.lens,
        latitude=image.latitude,
        longitude=image.longitude,
        dominant_color=image.dominant_color,
        added_at=image.added_at.isoformat(timespec="seconds"),
        **_urls(image.id),
    )


def duplicates(image: ImageRecord, engine: SearchEngine) -> schemas.DuplicateList:
    catalog = engine.library.engine
    others = [
        _duplicate("same_file", image, location.path, location.collection)
        for _, location in locations_of(catalog, image.id)[1:]
    ]
    alike = near_duplicates(catalog, image.id, looks_of(engine.library))
    found = get_images(catalog, alike)
    others += [
        _duplicate("looks_the_same", found[each], found[each].path, found[each].collection)
        for each in alike
        if each in found
    ]
    return schemas.DuplicateList(duplicates=others)


def _duplicate(
    reason: Literal["same_file", "looks_the_same"], image: ImageRecord, path: str, collection: str
) -> schemas.Duplicate:
    return schemas.Duplicate(
        reason=reason,
        id=image.id,
        path=shown_path(path),
        collection=collection,
        width=image.width,
        height=image.height,
        format=image.format,
        size_bytes=image.size_bytes,
        taken_at=image.taken_at,
        **_urls(image.id),
    )


def stats(engine: SearchEngine) -> schemas.Stats:
    snapshot = engine.snapshot()
    manifest = snapshot.manifest
    catalog = engine.library.engine
    return schemas.Stats(
        pictures=count_images(catalog),
        searchable=len(snapshot.image_ids),
        unreadable_files=count_failures(catalog),
        collections=count_by_collection(catalog),
        model=engine.space.checkpoint,
        model_notice=engine.encoder.notice,
        superseded_by=engine.superseded_by(),
        dim=engine.space.dim,
        fingerprint=engine.space.fingerprint,
        index_kind=manifest.kind if manifest else None,
        index_generation=manifest.generation if manifest else None,
        tail=len(snapshot.tail_ids),
        size_bytes=engine.library.size_bytes(),
    )


def job(record: JobRecord) -> schemas.Job:
    finished = record.finished_at
    return schemas.Job(
        id=record.id,
        kind=record.kind,
        status=record.status,
        model=record.checkpoint,
        sources=[shown_path(source) for source in record.sources],
        started_at=record.started_at.isoformat(timespec="seconds"),
        finished_at=finished.isoformat(timespec="seconds") if finished else None,
        counts=record.counts,
        error=record.error,
    )


def job_detail(record: JobRecord, failures: list[FailureRecord]) -> schemas.JobDetail:
    return schemas.JobDetail(
        **job(record).model_dump(),
        failures=[
            schemas.JobFailure(path=shown_path(each.path), kind=each.kind, reason=each.reason)
            for each in failures
        ],
    )


def shown_path(path: str) -> str:
    """A file's name for reading: bytes that are no UTF-8 become U+FFFD."""
    return readable_name(path)
