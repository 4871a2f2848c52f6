"""The search page: what was asked, what was found, and what can be chosen."""

from dataclasses import dataclass, replace

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from imaging import THUMBNAIL_MIME
from search.config import SearchConfig
from search.engine import SearchEngine, SearchResult
from search.errors import (
    FieldError,
    ImageUnknown,
    InvalidRequest,
    SearchError,
)
from search.http.problems import status_of
from search.ranking.cursor import Cursor
from search.ranking.relevance import NOTHING_BELOW
from search.schemas import ImageInput, SearchRequest
from storage.facets import FacetCounts, browse
from storage.pictures import filter_ids, get_images
from webui.asked import Asked, Weighted
from webui.chips import filter_chips
from webui.config import WebConfig
from webui.filter_panel import make_panel
from webui.query_pictures import PictureForgotten, QueryPicture, QueryPictures
from webui.tiles import Tile, plain_tile, ranked_tile
from webui.words import explain, in_words

CHIP_SIDE = 128
"""Pixels of the thumbnail of a picture that was sent."""

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
    counts: FacetCounts

    @property
    def limits(self) -> SearchConfig:
        return self.engine.config

    def tiles(self, ids: list[int], asked: Asked | None = None) -> list[Tile]:
        found = get_images(self.engine.library.engine, ids)
        return [plain_tile(found[image_id], asked) for image_id in ids if image_id in found]

    def newest(self) -> list[Tile]:
        ids = self.engine.snapshot().image_ids[-self.config.newest_pictures :][::-1].tolist()
        return self.tiles(ids)

    def similar(self, image_id: int) -> list[Tile]:
        """Empty while the picture waits to be embedded."""
        if self.engine.snapshot().embedding(image_id) is None:
            return []
        wanted = SearchRequest(image=ImageInput(id=image_id), limit=self.config.similar_pictures)
        asked = Asked().with_like(image_id)
        hits = self.engine.search(wanted).hits
        return [ranked_tile(hit, asked, at) for at, hit in enumerate(hits)]


def make_of(engine: SearchEngine, config: WebConfig) -> Pages:
    pictures = QueryPictures(config.query_picture_bytes)
    return Pages(engine, config, pictures, FacetCounts(engine.library.engine))


def add_search(pages: Blueprint, of: Pages) -> None:
    @pages.get("/")
    def search() -> tuple[str, int]:
        asked = Asked.from_args(request.args)
        try:
            asked.chosen.for_storage()
            if not asked.looks_for_something:
                if asked.chosen or asked.panel:
                    return _browse_page(of, asked), 200
                return _start_page(of, asked, hint=bool(request.args)), 200
            result = of.engine.search(asked.request(of.pictures, of.config.hits_per_page))
            before = Cursor.decode(asked.cursor).given if asked.cursor else 0
        except SearchError as error:
            return _start_page(of, _mended(asked, error), error=error), status_of(error).value
        return _results_page(of, asked, result, before), 200


def _mended(asked: Asked, error: SearchError) -> Asked:
    """Without the picture that can't be had, so that the next search is not refused as well."""
    asked = replace(asked, chosen=asked.chosen.checked(), panel=False)
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
        filter_chips=filter_chips(asked),
    )


def _render(of: Pages, asked: Asked, **found: object) -> str:
    """With the panel of filters, where it is open."""
    chosen = asked.chosen.for_storage()
    panel = make_panel(asked, chosen, of.counts.of(chosen)) if asked.panel else None
    return render_template(
        "search.html", asked=asked, panel=panel, filter_chips=filter_chips(asked), **found
    )


def _browse_page(of: Pages, asked: Asked) -> str:
    """All pictures that the filters let through, the newest first."""
    limit = of.config.hits_per_page
    catalog = of.engine.library.engine
    before = _browsed_to(asked.cursor)
    chosen = asked.chosen.for_storage()
    ids = browse(catalog, chosen, before=before, limit=limit + 1)
    more = asked.from_cursor(str(ids[limit - 1])) if len(ids) > limit else None
    return _render(
        of,
        asked,
        browsed=of.tiles(ids[:limit], asked),
        browsed_total=len(filter_ids(catalog, chosen)),
        more_url=more.url if more else None,
    )


def _browsed_to(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
        raise InvalidRequest(FieldError("cursor", "is none that this server gave"))
    return int(cursor)


def _results_page(of: Pages, asked: Asked, result: SearchResult, before: int) -> str:
    """before: hits on the pages before this one."""
    tiles = [ranked_tile(hit, asked, before + at) for at, hit in enumerate(result.hits)]
    more = asked.from_cursor(result.next_cursor) if result.next_cursor else None
    return _render(
        of,
        asked,
        result=result,
        warnings=in_words(result, of.engine.space.checkpoint),
        negations=_negations(asked, result),
        matching=[tile for tile in tiles if _matches(tile)],
        rest=[tile for tile in tiles if not _matches(tile)],
        more_url=more.url if more else None,
    )


def _negations(asked: Asked, result: SearchResult) -> list[tuple[str, str]]:
    """What the words say should not be there, and the search without its being so."""
    return [
        (
            text,
            asked.but(
                query=result.searched_text or "",
                negatives=tuple(
                    dict.fromkeys((*asked.negatives, *(o for o in result.negations if o != text)))
                ),
            ).url,
        )
        for text in result.negations
    ]


def _matches(tile: Tile) -> bool:
    return tile.relevance is not None and tile.relevance >= NOTHING_BELOW


def add_search_by_picture(pages: Blueprint, of: Pages) -> None:
    @pages.post("/by-picture")
    def by_picture() -> AnyResponse | tuple[str, int]:
        asked = Asked.from_args(request.args).words_only()
        upload = request.files.get("picture")
        if upload is None or not upload.filename:
            return _start_page(of, asked, hint=True), 400
        data = upload.read()
        try:
            thumbnail = of.engine.decoder.thumbnail(data, CHIP_SIDE)
        except SearchError as error:
            return _start_page(of, asked, error=error), status_of(error).value
        kept = of.pictures.keep(QueryPicture(data, thumbnail))
        return redirect(replace(asked, picture=Weighted(kept)).url, 303)

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
