"""The pages: search, a picture, how things stand."""

from dataclasses import dataclass, replace

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from imaging import THUMBNAIL_MIME, make_thumbnail
from search import answers
from search.config import SearchConfig
from search.cursor import Cursor
from search.engine import RankedImage, SearchEngine, SearchResult
from search.errors import ImageUnknown, InvalidRequest, PictureRejected, SearchError
from search.pictures_on_disk import original, require_image
from search.problems import status_of
from search.relevance import NOTHING_BELOW
from search.schemas import ImageInput, SearchRequest
from storage.files import locations_of
from storage.jobs import list_failures, list_jobs
from storage.pictures import get_images
from webui.asked import Asked
from webui.config import WebConfig
from webui.query_pictures import PictureForgotten, QueryPicture, QueryPictures
from webui.tiles import Tile, picture_url, plain_tile, ranked_tile
from webui.words import explain

BROWSERS_SHOW = {"jpeg", "png", "webp", "gif", "avif", "bmp"}
CHIP_SIDE = 128
"""Pixels of the thumbnail of a picture that was sent."""
FAILURES_SHOWN = 200

EXAMPLES = (
    ("en", "a cup of coffee"),
    ("vi", "con mèo"),
    ("es", "una flor amarilla"),
    ("zh-Hans", "火箭发射"),
    ("ar", "رائد فضاء"),
    ("hi", "सेब"),
    ("ja", "夜空の星"),
    ("th", "ดอกไม้"),
    ("ru", "кошка"),
    ("sw", "ndege"),
)
"""Queries by language, on the page that nothing has been asked on yet."""


@dataclass(frozen=True)
class Pages:
    """What every page is made of."""

    engine: SearchEngine
    config: WebConfig
    pictures: QueryPictures

    @property
    def limits(self) -> SearchConfig:
        return self.engine.config

    def newest(self) -> list[Tile]:
        ids = self.engine.snapshot().image_ids[-self.config.hits_per_page :][::-1].tolist()
        found = get_images(self.engine.library.engine, ids)
        return [plain_tile(found[image_id]) for image_id in ids if image_id in found]

    def similar(self, image_id: int) -> list[Tile]:
        """Empty while the picture waits to be embedded."""
        if self.engine.snapshot().embedding(image_id) is None:
            return []
        asked = Asked(image=str(image_id))
        wanted = SearchRequest(image=ImageInput(id=image_id), limit=self.config.similar_pictures)
        hits = self.engine.search(wanted).hits
        return [ranked_tile(hit, asked, at) for at, hit in enumerate(hits)]


def make_pages(engine: SearchEngine, config: WebConfig) -> Blueprint:
    pages = Blueprint("pages", __name__)
    made_of = Pages(engine, config, QueryPictures(config.query_picture_bytes))
    _add_search(pages, made_of)
    _add_search_by_picture(pages, made_of)
    _add_picture(pages, made_of)
    _add_status(pages, made_of)
    return pages


def _add_search(pages: Blueprint, of: Pages) -> None:
    @pages.get("/")
    def search() -> tuple[str, int]:
        asked = Asked.from_args(request.args)
        if not asked.looks_for_something:
            return _start_page(of, asked, hint=bool(request.args)), 200
        try:
            result = of.engine.search(asked.request(of.pictures, of.config.hits_per_page))
            before = Cursor.decode(asked.cursor).given if asked.cursor else 0
        except SearchError as error:
            return _start_page(of, _mended(asked, error), error=error), status_of(error).value
        return _results_page(of, asked, result, before), 200


def _mended(asked: Asked, error: SearchError) -> Asked:
    """Without the picture that can't be had, so that the next search is not refused as well."""
    if isinstance(error, PictureForgotten):
        return asked.without_picture()
    if isinstance(error, ImageUnknown | InvalidRequest):
        return asked.without_image()
    return asked


def _start_page(
    of: Pages, asked: Asked, *, hint: bool = False, error: SearchError | None = None
) -> str:
    """hint: a search was sent off without anything to look for."""
    return render_template(
        "search.html",
        asked=asked,
        error=explain(error, of.limits) if error else None,
        hint=hint,
        examples=EXAMPLES,
        newest=of.newest(),
    )


def _results_page(of: Pages, asked: Asked, result: SearchResult, before: int) -> str:
    """before: hits on the pages before this one."""
    tiles = [ranked_tile(hit, asked, before + at) for at, hit in enumerate(result.hits)]
    more = asked.from_cursor(result.next_cursor) if result.next_cursor else None
    return render_template(
        "search.html",
        asked=asked,
        result=result,
        matching=[tile for tile in tiles if _matches(tile)],
        rest=[tile for tile in tiles if not _matches(tile)],
        more_url=more.url if more else None,
    )


def _matches(tile: Tile) -> bool:
    return tile.relevance is not None and tile.relevance >= NOTHING_BELOW


def _add_search_by_picture(pages: Blueprint, of: Pages) -> None:
    @pages.post("/by-picture")
    def by_picture() -> AnyResponse | tuple[str, int]:
        asked = Asked.from_args(request.args).words_only()
        upload = request.files.get("picture")
        if upload is None or not upload.filename:
            return _start_page(of, asked, hint=True), 400
        data = upload.read()
        try:
            image = of.engine.decode_upload(data)
        except PictureRejected as error:
            return _start_page(of, asked, error=error), status_of(error).value
        kept = of.pictures.keep(QueryPicture(data, make_thumbnail(image, CHIP_SIDE)))
        return redirect(replace(asked, picture=kept).url, 303)

    @pages.get("/by-picture")
    def by_picture_again() -> AnyResponse:
        return redirect(url_for("pages.search"))

    @pages.get("/by-picture/<token>/thumbnail")
    def query_picture(token: str) -> Response:
        try:
            webp = of.pictures.get(token).thumbnail
        except PictureForgotten:
            abort(404)
        response = Response(webp, mimetype=THUMBNAIL_MIME)
        response.headers["Cache-Control"] = "private, max-age=86400"
        return response


@dataclass(frozen=True)
class Standing:
    """Where a picture stands among the hits of a search."""

    asked: Asked
    hit: RankedImage
    at: int
    before: RankedImage | None
    after: RankedImage | None
    total: int

    @property
    def before_url(self) -> str | None:
        return picture_url(self.before.image.id, self.asked, self.at - 1) if self.before else None

    @property
    def after_url(self) -> str | None:
        return picture_url(self.after.image.id, self.asked, self.at + 1) if self.after else None


def _add_picture(pages: Blueprint, of: Pages) -> None:
    @pages.get("/pictures/<int(max=9223372036854775807):image_id>")
    def picture(image_id: int) -> str:
        image = require_image(of.engine, image_id)
        asked = Asked.from_args(request.args)
        reachable = original(of.engine, image) is not None
        return render_template(
            "picture.html",
            asked=asked,
            image=image,
            tile=plain_tile(image),
            standing=_standing(of, asked, image_id),
            reachable=reachable,
            shows_file=reachable and image.format in BROWSERS_SHOW,
            locations=[
                (answers.shown_path(each.path), each.collection)
                for _, each in locations_of(of.engine.library.engine, image_id)
            ],
            similar=of.similar(image_id),
        )


def _standing(of: Pages, asked: Asked, image_id: int) -> Standing | None:
    """None where no search led here, or it no longer finds the picture near that place."""
    if not asked.looks_for_something:
        return None
    at = request.args.get("at", 0, type=int)
    limit = min(max(at, 0) + 2, of.limits.max_limit)
    try:
        result = of.engine.search(asked.first_page().request(of.pictures, limit))
    except SearchError:
        return None  # the way back, to the search itself, says what is wrong with it
    for place, hit in enumerate(result.hits):
        if hit.image.id == image_id:
            around = [None, *result.hits, None]
            return Standing(asked, hit, place, around[place], around[place + 2], result.total)
    return None


def _add_status(pages: Blueprint, of: Pages) -> None:
    @pages.get("/status")
    def status() -> str:
        catalog = of.engine.library.engine
        return render_template(
            "status.html",
            stats=answers.stats(of.engine),
            space=of.engine.space,
            failures=[
                (answers.shown_path(each.path), each.reason, each.failed_at)
                for each in list_failures(catalog, limit=FAILURES_SHOWN)
            ],
            jobs=list_jobs(catalog, limit=10),
            shown_path=answers.shown_path,
        )
