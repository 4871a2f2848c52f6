"""Words that lie in a picture's file, cleaned of what says nothing about the picture."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_TEXT = 10_000
"""Characters kept of one text."""

_MAX_TEXTS = 500
_MAX_KEYWORD = 200

# What cameras and programs write when nobody has written anything.
_BY_THEMSELVES = frozenset(
    {
        *("olympus digital camera", "minolta digital camera", "konica minolta digital camera"),
        *("kodak digital still camera", "samsung digital camera", "samsung camera pictures"),
        *("digital camera", "digital image", "sony dsc", "dcim", "camera", "exif_jpeg_picture"),
        *("default", "untitled", "image", "photo", "picture", "jpeg", "description", "caption"),
        *("ascii", "binary comment", "user comment", "null", "none", "undefined", "n/a"),
        *("cof", "edf", "mde", "bty", "hdrpl", "rhdr", "oznor", "nor"),  # modes of Huawei's
    }
)
_PROGRAM_TALK = re.compile(
    r"created with (the )?gimp|file written by adobe|lead technologies|creator: gd-jpeg|"
    r"charset=ascii|[a-z]{1,4}[_-]?\d{3,}$|\{.*\}$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class FactText:
    """Words of a picture's own file: `kind` is title, description or keyword, `source` exif, iptc
    or xmp, `language` a BCP 47 tag where the file names it."""

    kind: str
    text: str
    source: str
    language: str | None = None


def cleaned_texts(texts: Iterable[FactText]) -> tuple[FactText, ...]:
    """Without blanks and what a camera writes by itself; each text once of a kind, however many
    places hold it, with its language if one of them names it."""
    kept: dict[tuple[str, str], FactText] = {}
    for each in texts:
        longest = _MAX_KEYWORD if each.kind == "keyword" else MAX_TEXT
        text = clean_text(each.text, longest)
        if not _says_something(each.kind, text):
            continue
        known = kept.get((each.kind, text))
        if known is None and len(kept) < _MAX_TEXTS:
            kept[each.kind, text] = replace(each, text=text)
        elif known is not None and known.language is None and each.language is not None:
            kept[each.kind, text] = replace(known, language=each.language)
    return tuple(kept.values())


def clean_text(text: str, longest: int = MAX_TEXT) -> str:
    """Printable and at most `longest` characters, its lines kept apart."""
    lines = text[: 2 * MAX_TEXT].replace("\0", " ").splitlines()
    plain = ("".join(c if c.isprintable() else " " for c in line).split() for line in lines)
    return "\n".join(filter(None, map(" ".join, plain)))[:longest].strip()


def _says_something(kind: str, text: str) -> bool:
    if not any(char.isalnum() or char >= "\u2600" for char in text):
        return False
    if kind == "keyword":
        return True
    by_itself = text.casefold() in _BY_THEMSELVES or _PROGRAM_TALK.match(text) is not None
    return not by_itself and not text.isdecimal()
