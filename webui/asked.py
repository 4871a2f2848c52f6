"""What a page's URL asks for, and URLs that ask for it."""

import base64
from dataclasses import dataclass, replace
from typing import Any

from flask import url_for
from werkzeug.datastructures import MultiDict

from search.schemas import SearchRequest, parse_request
from webui.query_pictures import QueryPictures


@dataclass(frozen=True)
class Asked:
    """A search as it stands in the address bar. Nothing here is checked yet but `request`."""

    query: str = ""
    image: str | None = None
    """Id of an indexed picture to find more like."""
    picture: str | None = None
    """Token of a picture that the user sent."""
    negatives: tuple[str, ...] = ()
    cursor: str | None = None

    @classmethod
    def from_args(cls, args: MultiDict[str, str]) -> "Asked":
        negatives = (_one_line(text) for text in args.getlist("not"))
        return cls(
            query=_one_line(args.get("q", "")),
            image=args.get("image") or None,
            picture=args.get("picture") or None,
            negatives=tuple(dict.fromkeys(text for text in negatives if text)),
            cursor=args.get("cursor") or None,
        )

    @property
    def looks_for_something(self) -> bool:
        return bool(self.query or self.image or self.picture)

    @property
    def has_chips(self) -> bool:
        return bool(self.image or self.picture or self.negatives)

    def request(self, pictures: QueryPictures, limit: int) -> SearchRequest:
        """Raises InvalidRequest, PictureForgotten."""
        images: list[dict[str, Any]] = []
        if self.image:
            images.append({"id": self.image})
        if self.picture:
            data = pictures.get(self.picture).data
            images.append({"base64": base64.b64encode(data).decode("ascii")})
        return parse_request(
            SearchRequest,
            {
                "query": self.query or None,
                "positive": [{"image": image} for image in images],
                "negative": [{"text": text} for text in self.negatives],
                "cursor": self.cursor,
                "limit": limit,
            },
        )

    @property
    def args(self) -> dict[str, Any]:
        """As `url_for` takes them."""
        fields = {
            "q": self.query,
            "image": self.image,
            "picture": self.picture,
            "not": list(self.negatives),
            "cursor": self.cursor,
        }
        return {name: value for name, value in fields.items() if value}

    @property
    def url(self) -> str:
        return url_for("pages.search", **self.args)

    def without_image(self) -> "Asked":
        return replace(self, image=None, cursor=None)

    def without_picture(self) -> "Asked":
        return replace(self, picture=None, cursor=None)

    def without_negative(self, text: str) -> "Asked":
        rest = tuple(each for each in self.negatives if each != text)
        return replace(self, negatives=rest, cursor=None)

    def words_only(self) -> "Asked":
        return Asked(query=self.query, negatives=self.negatives)

    def first_page(self) -> "Asked":
        return replace(self, cursor=None)

    def from_cursor(self, cursor: str) -> "Asked":
        return replace(self, cursor=cursor)


def _one_line(text: str) -> str:
    return " ".join(text.split())
