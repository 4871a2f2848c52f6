"""How far what is not wanted reaches, from the word that says so. Spans are of the text."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from search.query.negation_rules import Grammar

Span = tuple[int, int]

_TOKEN = re.compile(r"[^\s,;.!?…()\[\]{}，。；！？、،؛।:：|/]+")
_CLAUSE_END = re.compile(r"[,;.!?…()\[\]{}，。；！？،؛।:：|/]")
_AFTER_A_NOUN = "(?<=[\u3400-\u9fff\u30a0-\u30ff々])"
"""Before a particle: a Chinese character or Katakana. In Hiragana it may be part of a word."""


def is_word_char(char: str) -> bool:
    """Letters, digits and the marks that go with them."""
    return unicodedata.category(char)[0] in "LMN"


def behind(
    plain: str, start: int, limit: int, grammar: Grammar, spaced: bool
) -> tuple[int, list[Span]]:
    """Things named after `start`, and where they end ("without A and B | on a table")."""
    if spaced:
        return _behind_spaced(plain, start, limit, grammar)
    return _behind_unspaced(plain, start, limit, grammar)


def chunk_before(
    plain: str, begin: int, start: int, end: int, grammar: Grammar, spaced: bool
) -> tuple[int, list[Span]]:
    """Things named before the marker at `start`, which stops at `end`, and where they begin."""
    ends = [match.end() for match in _CLAUSE_END.finditer(plain, begin, start)]
    begin = ends[-1] if ends else begin
    if spaced:
        goes_on = re.match(r"\s*[^\s,;.!?،؛।]", plain[end:]) is not None
        return _before_spaced(plain, begin, start, goes_on, grammar)
    return _before_unspaced(plain, begin, start, grammar)


def _behind_spaced(plain: str, start: int, limit: int, grammar: Grammar) -> tuple[int, list[Span]]:
    tokens = _tokens(plain, start, limit)
    items: list[Span] = []
    had_article = article_before = False
    after_join = False
    end = at = start
    for place, (first, last) in enumerate(tokens):
        if items and _CLAUSE_END.search(plain, at, first):
            break
        word = plain[first:last]
        at = last
        if word in grammar.of("article") and (not items or after_join):
            if after_join and not had_article:
                break  # "without glasses and a dog": the dog is wanted
            article_before = True
            continue
        if word in grammar.of("join") and items and not after_join:
            if place + 1 == len(tokens):
                break
            after_join = True
            continue
        if word in grammar.of("stop"):
            if items and word in grammar.of("eat"):
                end = last
            break
        if not items or after_join:
            items.append((first, last))
            had_article = had_article or article_before
        else:
            items[-1] = (items[-1][0], last)
        after_join, end = False, last
    return end, items


def _behind_unspaced(
    plain: str, start: int, limit: int, grammar: Grammar
) -> tuple[int, list[Span]]:
    space = len(plain[start:limit]) - len(plain[start:limit].lstrip())
    match = _TOKEN.match(plain, start + space, limit)
    if match is None:
        return start, []
    first, end = match.span()
    for article in sorted(grammar.of("article"), key=len, reverse=True):
        if plain.startswith(article, first) and first + len(article) < end:
            first += len(article)
            break
    stops = [
        (at, stop)
        for stop in grammar.of("stop")
        if (at := plain.find(stop, first + 1, end)) > first
    ]
    after = end
    if stops:
        at, stop = min(stops, key=lambda each: (each[0], -len(each[1])))
        end = at
        after = at + len(stop) if stop in grammar.of("eat") else at
    return after, list(_split(plain, first, end, _any_of(grammar.of("join"))))


def _before_spaced(
    plain: str, begin: int, start: int, goes_on: bool, grammar: Grammar
) -> tuple[int, list[Span]]:
    tokens = _tokens(plain, begin, start)
    for place in reversed(range(len(tokens))):
        word = plain[slice(*tokens[place])]
        if _is_boundary(word, grammar):
            tokens = tokens[place + 1 :]
            break
    if not goes_on and not any(_is_join(plain[slice(*each)], grammar) for each in tokens):
        tokens = tokens[-1:]
    while tokens and plain[slice(*tokens[0])] in grammar.of("article") | grammar.of("join"):
        tokens = tokens[1:]
    if not tokens:
        return start, []
    items: list[Span] = []
    open_item = False
    for first, last in tokens:
        word = plain[first:last]
        if word in grammar.of("join"):
            open_item = False
            continue
        items[-1:] = [(items[-1][0], last)] if open_item else [*items[-1:], (first, last)]
        open_item = not _glued_join(word, grammar)
    trimmed = [(first, _without_ending(plain, first, last, grammar)) for first, last in items]
    return tokens[0][0], trimmed


def _before_unspaced(
    plain: str, begin: int, start: int, grammar: Grammar
) -> tuple[int, list[Span]]:
    tokens = _tokens(plain, begin, start)
    if not tokens:
        return start, []
    begin = tokens[-1][0]
    bounds = re.compile(_AFTER_A_NOUN + _any_of(grammar.of("stop")))
    ends = [match.end() for match in bounds.finditer(plain, begin, start) if match.end() < start]
    begin = ends[-1] if ends else begin
    return begin, list(_split(plain, begin, start, _AFTER_A_NOUN + _any_of(grammar.of("join"))))


def _tokens(plain: str, start: int, end: int) -> list[Span]:
    return [match.span() for match in _TOKEN.finditer(plain, start, end)]


def _is_boundary(word: str, grammar: Grammar) -> bool:
    """A stop word; in Korean, a word that ends in one."""
    return word in grammar.of("stop") or any(
        _is_hangul(stop) and word.endswith(stop) and len(word) > len(stop)
        for stop in grammar.of("stop")
    )


def _is_join(word: str, grammar: Grammar) -> bool:
    return word in grammar.of("join") or _glued_join(word, grammar)


def _glued_join(word: str, grammar: Grammar) -> bool:
    """차와: a car and …"""
    return any(
        _is_hangul(join) and word.endswith(join) and len(word) > len(join)
        for join in grammar.of("join")
    )


def _without_ending(plain: str, first: int, last: int, grammar: Grammar) -> int:
    endings = grammar.of("ending") | {each for each in grammar.of("join") if _is_hangul(each)}
    for ending in sorted(endings, key=len, reverse=True):
        if plain.endswith(ending, first + 1, last):
            return last - len(ending)
    return last


def _is_hangul(text: str) -> bool:
    return unicodedata.name(text[0], "").startswith("HANGUL")


def _any_of(words: Iterable[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, longest_first))})" if longest_first else "(?!)"


def _split(plain: str, first: int, last: int, join: str) -> Iterator[Span]:
    """At joins that have something on both sides."""
    at = first
    for match in re.compile(join).finditer(plain, first + 1, last):
        if at < match.start() and match.end() < last:
            yield at, match.start()
            at = match.end()
    if at < last:
        yield at, last
