"""How languages say "without", as data: negation.tsv, one language and kind of words a row.

before    stands before what is not wanted ("without cars"); detail: languages in which it is
          another, ordinary word ("no" is Portuguese for "on the")
after     stands behind it (人のいない海)
suffix    ends its word (gözlüksüz)
means     says both at once; detail: what is not wanted ("nobody": people)
join      between several things that are not wanted
stop      ends what is not wanted; for words that stand behind, begins it
article   before a thing, and no part of it
ending    of a thing that is not wanted, and no part of it (Korean particles)
eat       goes with the words that it follows (的)
link      left hanging in what is wanted, and dropped ("but")
keep      a phrase in which none of this means anything ("no parking")
"""

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

LISTING = Path(__file__).with_name("negation.tsv")

UNSPACED = frozenset({"ja", "th", "zh"})
"""Languages that write no space between words."""


@dataclass(frozen=True)
class Marker:
    language: str
    kind: str
    """before, after, suffix or means."""
    words: str
    meaning: str | None = None
    """Of kind `means`: what is not wanted."""
    against: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Grammar:
    """Words of one language by kind, as in negation.tsv."""

    words: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def of(self, kind: str) -> frozenset[str]:
        return self.words.get(kind, frozenset())


@dataclass(frozen=True)
class Rules:
    markers: tuple[Marker, ...]
    grammars: Mapping[str, Grammar]
    kept: tuple[str, ...]


@cache
def negation_rules() -> Rules:
    markers: list[Marker] = []
    words: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    with LISTING.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            language, kind, detail = row["language"], row["kind"], row["detail"]
            for phrase in row["words"].split("|"):
                if kind == "means":
                    markers.append(Marker(language, kind, phrase, meaning=detail))
                elif kind in {"before", "after", "suffix"}:
                    against = frozenset(detail.split())
                    markers.append(Marker(language, kind, phrase, against=against))
                else:
                    words[language][kind].add(phrase)
    grammars = {
        language: Grammar({kind: frozenset(phrases) for kind, phrases in kinds.items()})
        for language, kinds in words.items()
    }
    kept = {phrase for grammar in grammars.values() for phrase in grammar.of("keep")}
    return Rules(tuple(markers), grammars, tuple(sorted(kept)))
