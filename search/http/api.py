"""The JSON API under /api/v1. Views only: what they answer is made in `answers`."""

from dataclasses import asdict

from flask import Blueprint, Response, abort, request, send_file
from pydantic import BaseModel
from werkzeug.exceptions import BadRequest

from imaging import THUMBNAIL_MIME
from search import schemas
from search.embeddings import embed
from search.engine import SearchEngine
from search.errors import FieldError, InvalidRequest
from search.http import answers
from search.http.pictures_on_disk import (
    THUMBNAIL_SIDES,
    original,
    require_image,
    sendable,
    thumbnail,
)
from search.http.problems import register_problems
from search.http.requests import json_object, search_request, search_request_from_args
from storage.jobs import get_job, list_failures, list_jobs
from storage.pictures import count_by_collection, list_images

FOR_EVER = "public, max-age=31536000, immutable"
"""For what is named by its content."""

FILE_MIME = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "avif": "image/avif",
    "heif": "image/heif",
}


def make_blueprint(engine: SearchEngine) -> Blueprint:
    api = Blueprint("api", __name__, url_prefix="/api/v1")
    register_problems(api)
    _add_search(api, engine)
    _add_images(api, engine)
    _add_housekeeping(api, engine)
    return api


def _answer(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), mimetype="application/json")


def _add_search(api: Blueprint, engine: SearchEngine) -> None:
    @api.get("/search")
    def search_by_url() -> Response:
        asked = search_request_from_args(request.args)
        return _answer(answers.search_answer(engine.search(asked), engine))

    @api.post("/search")
    def search() -> Response:
        return _answer(answers.search_answer(engine.search(search_request(request)), engine))

    @api.post("/classify")
    def classify() -> Response:
        asked = schemas.parse_request(schemas.ClassifyRequest, json_object(request))
        labels = [schemas.Label(**asdict(each)) for each in engine.classify(asked)]
        return _answer(schemas.ClassifyAnswer(labels=labels, model=engine.space.checkpoint))

    @api.post("/embeddings")
    def embeddings() -> Response:
        asked = schemas.parse_request(schemas.EmbeddingsRequest, json_object(request))
        return _answer(answers.embeddings(embed(engine, asked), engine))

    @api.get("/images/<int(max=9223372036854775807):image_id>/similar")
    def similar(image_id: int) -> Response:
        fields = {**request.args.to_dict(), "image": {"id": image_id}}
        asked = schemas.parse_request(schemas.SearchRequest, fields)
        return _answer(answers.search_answer(engine.search(asked), engine))


def _add_images(api: Blueprint, engine: SearchEngine) -> None:
    @api.get("/images")
    def images() -> Response:
        try:
            limit = int(request.args.get("limit", 100))
            after = int(request.args.get("cursor", 0))
        except ValueError:
            raise BadRequest("limit and cursor are whole numbers.") from None
        if not 1 <= limit <= engine.config.max_limit or not 0 <= after < 2**63:
            raise InvalidRequest(
                FieldError("limit", f"give a number from 1 to {engine.config.max_limit}")
            )
        page = list_images(engine.library.engine, after_id=after, limit=limit)
        cursor = str(page[-1].id) if len(page) == limit else None
        pictures = [answers.picture(each, engine) for each in page]
        return _answer(schemas.PictureList(images=pictures, next_cursor=cursor))

    @api.get("/images/<int(max=9223372036854775807):image_id>")
    def image(image_id: int) -> Response:
        return _answer(answers.picture(require_image(engine, image_id), engine))

    @api.get("/images/<int(max=9223372036854775807):image_id>/duplicates")
    def duplicates(image_id: int) -> Response:
        return _answer(answers.duplicates(require_image(engine, image_id), engine))

    @api.get("/images/<int(max=9223372036854775807):image_id>/file")
    def image_file(image_id: int) -> Response:
        found = require_image(engine, image_id)
        held_by = original(engine, found)
        content = None if held_by is None else sendable(held_by, found)
        if held_by is None or content is None:
            abort(404, f"The file of picture {image_id} is out of reach: moved, or not mounted.")
        mime = FILE_MIME.get(found.format, "application/octet-stream")
        return send_file(content, mimetype=mime, conditional=True, download_name=held_by.name)

    @api.get("/images/<int(max=9223372036854775807):image_id>/thumbnail")
    def image_thumbnail(image_id: int) -> Response:
        side = request.args.get("size", "512")
        if side not in {str(each) for each in THUMBNAIL_SIDES}:
            sizes = ", ".join(str(each) for each in THUMBNAIL_SIDES)
            raise InvalidRequest(FieldError("size", f"is one of {sizes}"))
        found = require_image(engine, image_id)
        webp = thumbnail(engine, found, int(side))
        if webp is None:
            abort(404, f"Picture {image_id} has no thumbnail, and its file is out of reach.")
        response = Response(webp, mimetype=THUMBNAIL_MIME)
        response.set_etag(f"{found.sha256.hex()[:32]}-{side}")
        response.headers["Cache-Control"] = FOR_EVER
        response.make_conditional(request)
        return response


def _add_housekeeping(api: Blueprint, engine: SearchEngine) -> None:
    @api.get("/stats")
    def stats() -> Response:
        return _answer(answers.stats(engine))

    @api.get("/collections")
    def collections() -> Response:
        counts = count_by_collection(engine.library.engine)
        found = [schemas.Collection(name=name, pictures=count) for name, count in counts.items()]
        return _answer(schemas.CollectionList(collections=found))

    @api.get("/jobs")
    def jobs() -> Response:
        records = list_jobs(engine.library.engine)
        return _answer(schemas.JobList(jobs=[answers.job(record) for record in records]))

    @api.get("/jobs/<int(max=9223372036854775807):job_id>")
    def job(job_id: int) -> Response:
        record = get_job(engine.library.engine, job_id)
        if record is None:
            abort(404, f"There is no job {job_id}.")
        failures = list_failures(engine.library.engine, job_id)
        return _answer(answers.job_detail(record, failures))
