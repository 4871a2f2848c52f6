"""Queries that say what should not be there: "a cat without glasses", 没有人的海滩.

Careful rather than clever: what is not surely a negation is left as it stands, what is in quotes
is not looked at, and the reader is shown what was understood. The words are in negation.tsv.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from search.query.languages import language_scores
from search.query.negation_rules import UNSPACED, Grammar, Marker, negation_rules
from search.ranking.unwanted import behind, chunk_before, is_word_char

QUOTED = re.compile('"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」|『[^』]*』')
_MASK = "\0"
_DASHED = re.compile(r"(?<!\S)-(?=[^\W\d_])[^\s,;]+")
_EDGE = " \t\r\n,;.!?…，。、；！？،؛।-–—"

_TAKEN_FOR_ANOTHER = 3.0
"""Nats by which a language in which a marker means something else must be the likelier one."""
_AT_THE_START = 12.0
"""The same where the marker begins the query, as few other words do."""

_TURKISH_SUFFIX = {"siz": "ei", "sız": "aı", "suz": "ou", "süz": "öü"}
_VOWELS = "aeıioöuü"


@dataclass(frozen=True)
class Reading:
    """A query, taken apart."""

    text: str
    """As it was asked, in NFC."""
    wanted: str
    """What is left; "" where nothing is."""
    negatives: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    """Of `text`: what says so."""


@dataclass(frozen=True)
class _Found:
    start: int
    end: int
    """Of the marker alone."""
    marker: Marker


@dataclass(frozen=True)
class _Negation:
    start: int
    end: int
    negatives: tuple[str, ...]
    language: str | None


def read_literally(query: str) -> Reading:
    text = unicodedata.normalize("NFC", query).strip()
    return Reading(text, text, (), ())


def read_negation(query: str) -> Reading:
    text = unicodedata.normalize("NFC", query).strip()
    plain = _masked(text)
    negations = sorted(
        [*_dashed(text, plain), *_spoken(text, plain)], key=lambda each: (each.start, each.end)
    )
    negatives = tuple(dict.fromkeys(each for negation in negations for each in negation.negatives))
    spans = tuple((each.start, each.end) for each in negations)
    wanted = _rest(text, spans)
    for language in {each.language for each in negations} - {None}:
        wanted = _without_loose_ends(wanted, negation_rules().grammars[str(language)])
    return Reading(text, wanted, negatives, spans)


def _masked(text: str) -> str:
    """In small letters, each where it was, without what is quoted."""
    small = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    small = small.replace("’", "'")
    return QUOTED.sub(lambda match: _MASK * len(match[0]), small)


def _dashed(text: str, plain: str) -> Iterator[_Negation]:
    """ "beach -people", as search engines have it."""
    if len(plain.split()) < 2:
        return
    for match in _DASHED.finditer(plain):
        yield _Negation(match.start(), match.end(), (text[match.start() + 1 : match.end()],), None)


def _spoken(text: str, plain: str) -> list[_Negation]:
    found = _markers_in(plain)
    taken: list[_Negation] = []
    for place, each in enumerate(found):
        begin = taken[-1].end if taken else 0
        if each.start < begin or not _is_meant(each, plain):
            continue
        limit = next((later.start for later in found[place + 1 :] if later.start >= each.end), None)
        negation = _taken(text, plain, each, begin, len(plain) if limit is None else limit)
        if negation is not None:
            taken.append(negation)
    return taken


def _taken(text: str, plain: str, each: _Found, begin: int, limit: int) -> _Negation | None:
    """What a marker takes away; None where that can't be said."""
    marker = each.marker
    grammar = negation_rules().grammars.get(marker.language, Grammar())
    if marker.kind == "means":
        eaten = (word for word in grammar.of("eat") if plain.startswith(word, each.end))
        end = each.end + len(next(eaten, "")) if marker.language in UNSPACED else each.end
        return _Negation(each.start, end, (marker.meaning or "",), marker.language)
    if marker.kind == "suffix":
        stem_end = each.end - len(marker.words)
        return _Negation(each.start, each.end, (text[each.start : stem_end],), marker.language)
    spaced = marker.language not in UNSPACED
    if marker.kind == "before":
        end, items = behind(plain, each.end, limit, grammar, spaced)
        start = each.start
    else:
        start, items = chunk_before(plain, begin, each.start, each.end, grammar, spaced)
        end = each.end
    negatives = tuple(filter(None, (_shown(text[first:last]) for first, last in items)))
    if not negatives or negatives[0][0].isdigit():  # "No. 5"
        return None
    return _Negation(start, end, negatives, marker.language)


def _shown(text: str) -> str:
    return " ".join(text.strip(_EDGE + '"“”„«»「」『』').split())


def _markers_in(plain: str) -> list[_Found]:
    """In the order of the text, the longest first; none inside a phrase that is kept."""
    rules = negation_rules()
    kept = [
        span for phrase in rules.kept if phrase in plain for span in _occurrences(plain, phrase)
    ]
    found = []
    for marker in rules.markers:
        if marker.words not in plain:  # as nearly all of them
            continue
        spans: Iterable[tuple[int, int]]
        if marker.kind == "suffix":
            spans = _suffixed(plain, marker)
        else:
            spans = _occurrences(plain, marker.words, marker.language in UNSPACED)
        found += [_Found(start, end, marker) for start, end in spans]
    scores = language_scores(plain) if len({each.marker.language for each in found}) > 1 else {}
    likely = sorted(
        found,
        key=lambda each: (
            each.start,
            -each.end,
            -scores.get(each.marker.language, 0.0),
            each.marker.kind != "before",
        ),
    )
    return [
        each
        for each in likely
        if not any(start < each.end and each.start < end for start, end in kept)
    ]


def _occurrences(
    plain: str, phrase: str, anywhere: bool | None = None
) -> Iterator[tuple[int, int]]:
    """anywhere: inside words too; by default where the script has no spaces."""
    if anywhere is None:
        anywhere = unicodedata.name(phrase[0], "").split()[0] in {"CJK", "HIRAGANA", "THAI"}
    start = plain.find(phrase)
    while start >= 0:
        end = start + len(phrase)
        if anywhere or _is_whole(plain, start, end):
            yield start, end
        start = plain.find(phrase, start + 1)


def _is_whole(plain: str, start: int, end: int) -> bool:
    """Whether no word goes on beyond either end. Hangul may stand before what is glued to it."""
    before, after = plain[start - 1 : start], plain[end : end + 1]
    if before and is_word_char(before) and is_word_char(plain[start]):
        glued = unicodedata.name(plain[start], "").startswith("HANGUL") and end - start > 1
        if not glued:
            return False
    return not (after and is_word_char(after) and is_word_char(plain[end - 1]))


def _suffixed(plain: str, marker: Marker) -> Iterator[tuple[int, int]]:
    """Words that end so, by the rules of their language."""
    for match in re.finditer(r"[^\s,;.!?]+", plain):
        stem = match[0].removesuffix(marker.words)
        if stem == match[0] or len(stem) < 2:
            continue
        if marker.language == "tr":
            vowels = [char for char in stem if char in _VOWELS]
            if not vowels or vowels[-1] not in _TURKISH_SUFFIX[marker.words]:
                continue
            if not _is_likely("tr", plain):
                continue
        yield match.span()


def _is_likely(language: str, plain: str) -> bool:
    scores = language_scores(plain)
    return bool(scores) and scores[language] >= max(scores.values()) - _TAKEN_FOR_ANOTHER


def _is_meant(each: _Found, plain: str) -> bool:
    """Whether the marker is not an ordinary word of another language here."""
    if not each.marker.against:
        return True
    scores = language_scores(plain)
    if not scores:
        return True
    own = scores.get(each.marker.language, 0.0)
    lead = max(scores[other] for other in each.marker.against if other in scores) - own
    return lead < (_AT_THE_START if each.start == 0 else _TAKEN_FOR_ANOTHER)


def _rest(text: str, spans: Iterable[tuple[int, int]]) -> str:
    rest, at = "", 0
    for start, end in [*spans, (len(text), len(text))]:
        piece = text[at:start]
        at = max(at, end)
        if not piece.strip(_EDGE):
            continue
        left, right = rest.rstrip(), piece.lstrip()
        gap = "" if left and (right[0] in _EDGE or _closes_up(left[-1], right[0])) else " "
        rest = f"{left}{gap}{right}"
    return rest.strip(_EDGE) if spans else text


def _closes_up(left: str, right: str) -> bool:
    unspaced = ("CJK", "HIRAGANA", "KATAKANA", "THAI")
    return all(unicodedata.name(char, "").startswith(unspaced) for char in (left, right))


def _without_loose_ends(wanted: str, grammar: Grammar) -> str:
    """Without the "and" or "but" that led to what was taken out."""
    loose = grammar.of("join") | grammar.of("link")
    while True:
        words = wanted.strip(_EDGE)
        low = words.lower()
        for word in loose:
            spaced = is_word_char(word[0]) and not _closes_up(word[0], word[0])
            if low == word or low.endswith(f" {word}" if spaced else word):
                words = words[: len(words) - len(word)]
                break
            if word in grammar.of("join") and spaced and low.startswith(f"{word} "):
                words = words[len(word) :]
                break
        else:
            return words
        wanted = words
