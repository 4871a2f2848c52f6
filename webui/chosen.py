"""The filters in a page's URL."""

from dataclasses import dataclass, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from search.errors import InvalidRequest
from search.schemas import Filters, parse_request
from storage.records import PictureFilter

ONE = ("path", "taken_after", "taken_before", "camera", "orientation", "min_width", "min_height")
MANY = ("collection", "format")
NAMES = (*ONE, *MANY, "near")


@dataclass(frozen=True)
class Chosen:
    """As they stand in the address bar, by the API's names; not checked yet."""

    one: tuple[tuple[str, str], ...] = ()
    many: tuple[tuple[str, str], ...] = ()
    near: str = ""
    """Latitude, longitude and kilometres."""

    @classmethod
    def from_args(cls, args: MultiDict[str, str]) -> "Chosen":
        many = [(name, value) for name in MANY for value in args.getlist(name) if value]
        return cls(
            one=tuple((name, args[name].strip()) for name in ONE if args.get(name, "").strip()),
            many=tuple(dict.fromkeys(many)),
            near=args.get("near", "").strip(),
        )

    def __bool__(self) -> bool:
        return bool(self.one or self.many or self.near)

    @property
    def count(self) -> int:
        return len(self.one) + len(self.many) + bool(self.near)

    def get(self, name: str) -> str:
        return dict(self.one).get(name, "")

    def has(self, name: str, value: str) -> bool:
        return (name, value) in self.many or (name, value) in self.one

    def with_one(self, **values: str) -> "Chosen":
        """Each of them set; an empty one taken away."""
        held = {**dict(self.one), **values}
        return replace(self, one=tuple((name, held[name]) for name in ONE if held.get(name)))

    def turned(self, name: str, value: str) -> "Chosen":
        """One of several values added, or taken away where it is there."""
        pair = (name, value)
        rest = tuple(each for each in self.many if each != pair)
        return replace(self, many=rest if pair in self.many else (*rest, pair))

    def with_near(self, near: str) -> "Chosen":
        return replace(self, near=near)

    @property
    def args(self) -> dict[str, Any]:
        fields: dict[str, Any] = {**dict(self.one), "near": self.near}
        for name in MANY:
            fields[name] = [value for each, value in self.many if each == name]
        return {name: value for name, value in fields.items() if value}

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """As hidden fields of a form."""
        return [*self.one, *self.many, *([("near", self.near)] if self.near else [])]

    def fields(self) -> dict[str, Any]:
        """For SearchRequest.filters."""
        fields = self.args
        if self.near:
            parts = self.near.split(",")
            fields["near"] = dict(zip(("lat", "lon", "km"), parts, strict=False))
        return fields

    def for_storage(self) -> PictureFilter:
        """Raises InvalidRequest."""
        return parse_request(Filters, self.fields()).for_storage()

    def checked(self) -> "Chosen":
        """Itself, or nothing where it can't be understood."""
        try:
            self.for_storage()
        except InvalidRequest:
            return Chosen()
        return self
