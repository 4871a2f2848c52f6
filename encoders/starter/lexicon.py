"""What the concepts are called: the network's 1,000 classes and broader concepts, by language."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

CLASSES = 1000
"""Concepts "0" to "999" are the network's classes; all other keys are broader concepts."""

Lexicon = dict[str, dict[str, list[str]]]
"""Language → concept key → folded names."""

LEXICON_FOLDER = Path(__file__).with_name("lexicon")
BROADER_FILE = Path(__file__).with_name("broader.tsv")

_ARABIC_MARKS = re.compile("[\u0640\u064b-\u0652\u0670]")
"""Vowel signs and the stretching line, which some write and most leave out."""


@dataclass(frozen=True)
class Broader:
    """What a broader concept covers.

    classes: the network's classes that are of this kind, each a dog or a car. `beside`: those in
    whose pictures the kind is often seen, or that only some would call so (a car's mirror, a
    pickup truck).
    """

    classes: list[int]
    beside: list[int]


def languages() -> list[str]:
    """The languages there is a lexicon for, as ISO 639-1 codes."""
    return sorted(path.stem for path in LEXICON_FOLDER.glob("*.tsv"))


def read_names(language: str) -> dict[str, list[str]]:
    """Concept key → its names as written, the most usual first."""
    return {key: names.split("|") for key, names in _rows(LEXICON_FOLDER / f"{language}.tsv")}


def read_lexicon() -> Lexicon:
    """Every language's names, folded."""
    return {
        language: {key: list(map(fold, names)) for key, names in read_names(language).items()}
        for language in languages()
    }


def read_broader() -> dict[str, Broader]:
    """Key of a broader concept → what it covers."""
    covered = {}
    for key, ranges in _rows(BROADER_FILE):
        classes, _, beside = ranges.partition("\t")
        covered[key] = Broader(_numbers(classes), _numbers(beside) if beside else [])
    return covered


def concept_keys() -> list[str]:
    """Every concept's key, in the order of the embedding's dimensions."""
    return [*map(str, range(CLASSES)), *read_broader()]


def fold(text: str) -> str:
    """A text in the one form that names and queries are compared in."""
    # The Turkish capital would become two characters.
    text = unicodedata.normalize("NFC", text).replace("İ", "i").lower()
    return " ".join(_ARABIC_MARKS.sub("", text).split())


def lexicon_digest() -> str:
    """64 hex digits over every file of the lexicon, whatever its line ends."""
    digest = hashlib.sha256()
    for path in [BROADER_FILE, *sorted(LEXICON_FOLDER.glob("*.tsv"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _rows(path: Path) -> list[tuple[str, str]]:
    rows = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        key, tab, value = line.partition("\t")
        if tab:
            rows.append((key, value))
        elif line:
            raise ValueError(f"{path.name}, line {number}: no tab between key and value")
    return rows


def _numbers(ranges: str) -> list[int]:
    """'3-5,9' → [3, 4, 5, 9]; a class named twice counts once."""
    numbers: set[int] = set()
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return sorted(numbers)
