"""The page of one picture."""

from dataclasses import dataclass

from flask import Blueprint, render_template, request

from search.engine import RankedImage
from search.errors import SearchError
from search.http import answers
from search.http.pictures_on_disk import original, require_image
from search.ranking.looks import looks_of
from storage.duplicates import near_duplicates
from storage.facets import browse, came_after
from storage.files import locations_of
from storage.records import ImageRecord, PictureText
from storage.words.picture_words import texts_of
from webui.asked import Asked
from webui.pages import Pages
from webui.tiles import picture_url, plain_tile

BROWSERS_SHOW = {"jpeg", "png", "webp", "gif", "avif", "bmp"}
MOST_DUPLICATES = 24


@dataclass(frozen=True)
class Standing:
    """Where a picture stands among what was found, and the pictures beside it."""

    before_url: str | None
    after_url: str | None
    hit: RankedImage | None = None
    at: int = 0
    total: int = 0
    """With `hit` only: what filters alone let through is not counted here."""


def add_picture(pages: Blueprint, of: Pages) -> None:
    @pages.get("/pictures/<int(max=9223372036854775807):image_id>")
    def picture(image_id: int) -> str:
        image = require_image(of.engine, image_id)
        asked = Asked.from_args(request.args)
        catalog = of.engine.library.engine
        reachable = original(of.engine, image) is not None
        alike = near_duplicates(catalog, image_id, looks_of(of.engine.library))
        return render_template(
            "picture.html",
            asked=asked,
            image=image,
            tile=plain_tile(image),
            standing=_standing(of, asked, image),
            reachable=reachable,
            shows_file=reachable and image.format in BROWSERS_SHOW,
            locations=[
                (answers.shown_path(each.path), each.collection)
                for _, each in locations_of(catalog, image_id)
            ],
            texts=_by_kind(texts_of(catalog, [image_id]).get(image_id, [])),
            duplicates=of.tiles(alike[:MOST_DUPLICATES]),
            similar=of.similar(image_id),
        )


def _by_kind(texts: list[PictureText]) -> dict[str, list[PictureText]]:
    """Titles first; the same words of two sources once."""
    found: dict[str, list[PictureText]] = {}
    for kind in ("title", "caption", "description", "keyword"):
        once = {each.text: each for each in reversed(texts) if each.kind == kind}
        if once:
            found[kind] = list(reversed(once.values()))
    return found


def _standing(of: Pages, asked: Asked, image: ImageRecord) -> Standing | None:
    """None where nothing led here, or it no longer finds the picture near that place."""
    try:
        if asked.looks_for_something:
            return _among_hits(of, asked, image.id)
        if asked.chosen:
            return _among_browsed(of, asked, image.id)
    except SearchError:
        pass  # the way back, to the search itself, says what is wrong with it
    return None


def _among_browsed(of: Pages, asked: Asked, image_id: int) -> Standing:
    catalog = of.engine.library.engine
    chosen = asked.chosen.for_storage()
    newer = came_after(catalog, chosen, image_id)
    older = browse(catalog, chosen, before=image_id, limit=1)
    return Standing(
        before_url=picture_url(newer, asked) if newer is not None else None,
        after_url=picture_url(older[0], asked) if older else None,
    )


def _among_hits(of: Pages, asked: Asked, image_id: int) -> Standing | None:
    at = request.args.get("at", 0, type=int)
    limit = min(max(at, 0) + 2, of.limits.max_limit)
    result = of.engine.search(asked.first_page().request(of.pictures, limit))
    for place, hit in enumerate(result.hits):
        if hit.image.id == image_id:
            before, after = [None, *result.hits, None][place : place + 3 : 2]
            return Standing(
                before_url=picture_url(before.image.id, asked, place - 1) if before else None,
                after_url=picture_url(after.image.id, asked, place + 1) if after else None,
                hit=hit,
                at=place,
                total=result.total,
            )
    return None
