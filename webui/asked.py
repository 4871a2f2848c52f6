"""What a page's URL asks for, and URLs that ask for it."""

import base64
from dataclasses import dataclass, field, replace
from typing import Any

from flask import url_for
from werkzeug.datastructures import MultiDict

from search.schemas import SearchRequest, parse_request
from webui.chosen import Chosen
from webui.query_pictures import QueryPictures

WEIGHTS = ("0.25", "0.5", "1", "2", "4")
"""How much a picture can be made to count, as the URL says it behind a "~"."""


@dataclass(frozen=True)
class Weighted:
    """A picture to search by: its id or token, and how much it counts."""

    name: str
    weight: str = "1"

    @classmethod
    def parse(cls, text: str) -> "Weighted":
        name, _, weight = text.partition("~")
        return cls(name, weight if weight in WEIGHTS else "1")

    def __str__(self) -> str:
        return self.name if self.weight == "1" else f"{self.name}~{self.weight}"

    def lighter(self) -> "Weighted | None":
        at = WEIGHTS.index(self.weight)
        return Weighted(self.name, WEIGHTS[at - 1]) if at else None

    def heavier(self) -> "Weighted | None":
        at = WEIGHTS.index(self.weight) + 1
        return Weighted(self.name, WEIGHTS[at]) if at < len(WEIGHTS) else None


@dataclass(frozen=True)
class Asked:
    """A search as it stands in the address bar. Nothing here is checked yet but `request`."""

    query: str = ""
    like: tuple[Weighted, ...] = ()
    """Indexed pictures to find more like."""
    unlike: tuple[Weighted, ...] = ()
    picture: Weighted | None = None
    """Token of a picture that the user sent."""
    negatives: tuple[str, ...] = ()
    chosen: Chosen = field(default_factory=Chosen)
    by_date: bool = False
    folded: bool = False
    """Pictures that look the same, as one."""
    panel: bool = False
    """The filters are open."""
    cursor: str | None = None

    @classmethod
    def from_args(cls, args: MultiDict[str, str]) -> "Asked":
        negatives = (_one_line(text) for text in args.getlist("not"))
        picture = args.get("picture")
        return cls(
            query=_one_line(args.get("q", "")),
            like=_pictures(args.getlist("image")),
            unlike=_pictures(args.getlist("unlike")),
            picture=Weighted.parse(picture) if picture else None,
            negatives=tuple(dict.fromkeys(text for text in negatives if text)),
            chosen=Chosen.from_args(args),
            by_date=args.get("sort") == "date",
            folded=args.get("diversify") == "1",
            panel=args.get("panel") == "1",
            cursor=args.get("cursor") or None,
        )

    @property
    def looks_for_something(self) -> bool:
        return bool(self.query or self.like or self.picture)

    @property
    def shows_something(self) -> bool:
        """A search, or all that some filters let through."""
        return self.looks_for_something or bool(self.chosen)

    @property
    def has_chips(self) -> bool:
        return bool(self.like or self.unlike or self.picture or self.negatives or self.chosen)

    def request(self, pictures: QueryPictures, limit: int) -> SearchRequest:
        """Raises InvalidRequest, PictureForgotten."""
        positive: list[dict[str, Any]] = [_term(each) for each in self.like]
        if self.picture:
            data = pictures.get(self.picture.name).data
            image = {"base64": base64.b64encode(data).decode("ascii")}
            positive.append({"image": image, "weight": self.picture.weight})
        return parse_request(
            SearchRequest,
            {
                "query": self.query or None,
                "positive": positive,
                "negative": [
                    *({"text": text} for text in self.negatives),
                    *(_term(each) for each in self.unlike),
                ],
                "filters": self.chosen.fields(),
                "sort": "date" if self.by_date else "relevance",
                "diversify": self.folded,
                "cursor": self.cursor,
                "limit": limit,
            },
        )

    @property
    def args(self) -> dict[str, Any]:
        """As `url_for` takes them."""
        fields = {
            "q": self.query,
            "image": [str(each) for each in self.like],
            "unlike": [str(each) for each in self.unlike],
            "picture": str(self.picture or ""),
            "not": list(self.negatives),
            **self.chosen.args,
            "sort": "date" if self.by_date else "",
            "diversify": "1" if self.folded else "",
            "panel": "1" if self.panel else "",
            "cursor": self.cursor,
        }
        return {name: value for name, value in fields.items() if value}

    @property
    def url(self) -> str:
        return url_for("pages.search", **self.args)

    def but(self, **changes: Any) -> "Asked":
        """Another search, from its first page."""
        return replace(self, **{"cursor": None, **changes})

    def without_image(self) -> "Asked":
        return self.but(like=(), unlike=())

    def without_picture(self) -> "Asked":
        return self.but(picture=None)

    def without_negative(self, text: str) -> "Asked":
        return self.but(negatives=tuple(each for each in self.negatives if each != text))

    def without_filters(self) -> "Asked":
        return self.but(chosen=Chosen())

    def with_like(self, image_id: int) -> "Asked":
        return self._judging(str(image_id), "like")

    def with_unlike(self, image_id: int) -> "Asked":
        return self._judging(str(image_id), "unlike")

    def _judging(self, name: str, side: str) -> "Asked":
        rest = self.without_pictures(name)
        return rest.but(**{side: (*getattr(rest, side), Weighted(name))})

    def without_pictures(self, name: str) -> "Asked":
        return self.but(
            like=tuple(each for each in self.like if each.name != name),
            unlike=tuple(each for each in self.unlike if each.name != name),
        )

    def weighing(self, other: Weighted) -> "Asked":
        """With one of its pictures counting more or less."""

        def swapped(held: tuple[Weighted, ...]) -> tuple[Weighted, ...]:
            return tuple(other if each.name == other.name else each for each in held)

        sent = self.picture
        return self.but(
            like=swapped(self.like),
            unlike=swapped(self.unlike),
            picture=other if sent and sent.name == other.name else sent,
        )

    def words_only(self) -> "Asked":
        return Asked(query=self.query, negatives=self.negatives, chosen=self.chosen)

    def first_page(self) -> "Asked":
        return replace(self, cursor=None)

    def from_cursor(self, cursor: str) -> "Asked":
        return replace(self, cursor=cursor)


def _term(picture: Weighted) -> dict[str, Any]:
    return {"image": {"id": picture.name}, "weight": picture.weight}


def _pictures(texts: list[str]) -> tuple[Weighted, ...]:
    parsed = {each.name: each for each in map(Weighted.parse, texts) if each.name}
    return tuple(parsed.values())


def _one_line(text: str) -> str:
    return " ".join(text.split())
