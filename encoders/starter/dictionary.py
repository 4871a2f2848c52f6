"""The lexicon as a dictionary: which names a query is, or is made of."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from itertools import chain

from encoders.starter.lexicon import Lexicon, fold

UNSPACED = frozenset({"ja", "th", "zh"})
"""Languages that write no space between words."""

LONGEST_NAME = 10
"""Words, or characters where words are not spaced, that are tried as one name."""

LEAST_COVERAGE = 0.25
"""Below this share of the query's letters, what looks like a name is chance: "and" is a duck
in Swedish."""

_UNSURE = re.compile("[-‐·・'’\u200c\u200d.,;:!?¿¡\"()\\[\\]«»“”„…。、，！？；：「」（）،؛؟।]")
"""Punctuation: some write it, some don't."""

_ARABIC_ARTICLE = re.compile(r"(?<!\S)ال(?=\w{3})")
_LATIN = re.compile("[\0-\u024f\u1e00-\u1eff]*")
_UNMARKED = str.maketrans({"ı": "i", "đ": "d", "ł": "l", "ø": "o", "ß": "ss", "æ": "ae", "œ": "oe"})

Forms = dict[str, list[int]]
"""How a name may be written → the rows of the names that are written so."""


class Dictionary:
    """Looks names up as people write them: without their hyphens, without the Arabic article,
    and, where a query has no accents at all, without accents ("ca phe")."""

    def __init__(self, lexicon: Lexicon, row_of: Mapping[str, int]) -> None:
        """row_of: a folded name → where it stands among all names."""
        self._spelt: dict[str, Forms] = {}
        self._plain: dict[str, Forms] = {}
        for language, concepts in lexicon.items():
            spelt: Forms = defaultdict(list)
            plain: Forms = defaultdict(list)
            names = sorted(set(chain.from_iterable(concepts.values())))
            # All at once: it is ten times as fast as one by one.
            forms = _spelling("\n".join(names)).replace(" ", "")
            unmarked = _without_accents(forms) if _LATIN.fullmatch(forms) else forms
            for name, form, bare in zip(
                names, forms.split("\n"), unmarked.split("\n"), strict=True
            ):
                spelt[form].append(row_of[name])
                if bare != form:
                    plain[bare].append(row_of[name])
            self._spelt[language], self._plain[language] = dict(spelt), dict(plain)

    def whole(self, text: str) -> list[int]:
        """The names that a text is, in whatever language."""
        form = _spelling(fold(text)).replace(" ", "")
        for forms in self._readings(form):
            rows = {row for known in forms.values() for row in known.get(form, ())}
            if rows:
                return sorted(rows)
        return []

    def parts(self, text: str) -> list[list[int]]:
        """The names that a text is made of, in the language that explains most of it.

        "a dog on the beach" → the rows of "dog" and of "beach".
        """
        words = _spelling(fold(text)).split()
        letters = sum(map(len, words))
        for forms in self._readings("".join(words)):
            found = {
                language: list(_longest_first(_units(words, language), known))
                for language, known in forms.items()
            }
            covered = {language: sum(map(len, spotted)) for language, spotted in found.items()}
            best = max(covered, key=covered.__getitem__)
            if covered[best] >= max(1, LEAST_COVERAGE * letters):
                return [forms[best][form] for form in dict.fromkeys(found[best])]
        return []

    def _readings(self, form: str) -> Iterator[dict[str, Forms]]:
        yield self._spelt
        if form.isascii():
            yield self._plain


def _spelling(folded: str) -> str:
    """A folded text, or lines of them, as far as its spelling is sure."""
    return _ARABIC_ARTICLE.sub("", _UNSURE.sub("", folded))


def _units(words: list[str], language: str) -> list[str]:
    return list("".join(words)) if language in UNSPACED else words


def _longest_first(units: list[str], known: Container[str]) -> Iterator[str]:
    """Known forms that start at one unit after the other, the longest at each."""
    start = 0
    while start < len(units):
        for stop in range(min(len(units), start + LONGEST_NAME), start, -1):
            candidate = "".join(units[start:stop])
            if candidate in known:
                yield candidate
                start = stop
                break
        else:
            start += 1


def _without_accents(form: str) -> str:
    decomposed = unicodedata.normalize("NFD", form.translate(_UNMARKED))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
