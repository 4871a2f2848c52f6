"""How a picture stands in a row of pictures."""

from dataclasses import dataclass, field

from flask import url_for

from search.engine import RankedImage
from search.http.answers import shown_path
from search.http.pictures_on_disk import THUMBNAIL_SIDES
from storage.records import ImageRecord
from webui.asked import Asked

NARROWEST, WIDEST = 0.5, 2.6
"""Width / height that a tile has at least and at most; the rest of the picture is cropped there."""
ROW_HEIGHT = 200
"""Pixels, about, on a desk; the style sheet has the last word."""
TILE_SIDES = tuple(side for side in THUMBNAIL_SIDES if side <= 1024)


@dataclass(frozen=True)
class Tile:
    image: ImageRecord
    url: str
    score: float | None = None
    relevance: float | None = None
    matched: tuple[str, ...] = ()
    """In which of its words the query was found."""
    folded: int = 0
    """Further pictures much like it, left out."""
    asked: Asked = field(default_factory=Asked)
    """The search that the page shows."""

    @property
    def path(self) -> str:
        return shown_path(self.image.path)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def ratio(self) -> float:
        exact = self.image.width / self.image.height
        return round(min(max(exact, NARROWEST), WIDEST), 3)

    @property
    def more_like_this_url(self) -> str:
        return self.asked.with_like(self.image.id).url

    @property
    def not_like_this_url(self) -> str | None:
        """None where there is no search to keep away from it."""
        if not self.asked.looks_for_something:
            return None
        return self.asked.with_unlike(self.image.id).url

    @property
    def src(self) -> str:
        return thumbnail_url(self.image, 512)

    @property
    def srcset(self) -> str:
        """Thumbnails by their true widths; none twice where the picture itself is small."""
        longer = max(self.image.width, self.image.height)
        widths: dict[int, str] = {}
        for side in TILE_SIDES:
            width = max(1, round(self.image.width * min(1.0, side / longer)))
            widths.setdefault(width, thumbnail_url(self.image, side))
        return ", ".join(f"{url} {width}w" for width, url in widths.items())

    @property
    def sizes(self) -> str:
        return f"(max-width: 40rem) 45vw, {round(self.ratio * ROW_HEIGHT)}px"


def thumbnail_url(image: ImageRecord, side: int) -> str:
    """Named by the content too: at this address there may be another library tomorrow."""
    return url_for("api.image_thumbnail", image_id=image.id, size=side, v=image.sha256.hex()[:8])


def picture_url(image_id: int, asked: Asked | None = None, at: int | None = None) -> str:
    """A picture's page. asked: the search that found it, `at` this place (from 0)."""
    args = asked.args if asked is not None else {}
    return url_for("pages.picture", image_id=image_id, **args, at=at)


def plain_tile(image: ImageRecord, asked: Asked | None = None) -> Tile:
    """asked: the filters that the page shows the picture by."""
    return Tile(image, picture_url(image.id, asked), asked=asked or Asked())


def ranked_tile(hit: RankedImage, asked: Asked, at: int) -> Tile:
    """asked: the page that shows the tile; at: the hit's place among all hits, from 0."""
    words = tuple(each for each in hit.matched if each != "picture")
    url = picture_url(hit.image.id, asked, at)
    return Tile(hit.image, url, hit.score, hit.relevance, words, hit.folded, asked)
