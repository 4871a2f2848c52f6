"""Reading a request: what its words ask for, before anything is embedded."""

from dataclasses import dataclass

from search.query.language_quality import language_warnings
from search.query.languages import language_of
from search.query.negation import QUOTED, Reading, read_literally, read_negation
from search.query.negation_rules import negation_rules
from search.schemas import SearchRequest, Term

_QUOTES = '"“”„«»「」『』'


@dataclass(frozen=True)
class ReadRequest:
    positive: tuple[Term, ...]
    negative: tuple[Term, ...]
    text: str | None
    """What is asked for in words; None where only pictures say it, or only what is not wanted."""
    words: str | None
    """To be looked for in the words that came with pictures; None where that says nothing."""
    is_quoted: bool
    """Only pictures with these words are wanted."""
    language: str | None
    negations: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    searched_text: str | None
    warnings: tuple[str, ...]


def read_request(request: SearchRequest, checkpoint: str) -> ReadRequest:
    reading = _read_query(request)
    wanted = _unquoted(reading.wanted) if reading else ""
    is_quoted = reading is not None and _is_quoted(reading.wanted)
    positive = list(request.positive)
    if wanted:
        positive.insert(0, Term(text=wanted))
    if request.image is not None:
        positive.insert(0, Term(image=request.image))
    if is_quoted and any(term.image for term in positive):
        positive = [term for term in positive if term.text is None]  # the words only choose
    negations = reading.negatives if reading else ()
    texts = [term.text for term in positive if term.text is not None]
    language = language_of(reading.text if reading else " ".join(texts))
    alone = wanted and len(positive) == 1
    return ReadRequest(
        positive=tuple(positive),
        negative=(*request.negative, *(Term(text=text) for text in negations)),
        text=" ".join(texts) or None,
        words=_words(wanted, is_quoted, reading) if alone or is_quoted else None,
        is_quoted=is_quoted,
        language=language,
        negations=negations,
        spans=reading.spans if reading else (),
        searched_text=reading.wanted or None if reading else None,
        warnings=tuple(language_warnings(checkpoint, language)),
    )


def _read_query(request: SearchRequest) -> Reading | None:
    if request.query is None:
        return None
    return (read_negation if request.read_negation else read_literally)(request.query)


def _is_quoted(text: str) -> bool:
    """In quotes, all of it."""
    return bool(text) and not QUOTED.sub("", text).strip() and bool(_unquoted(text))


def _unquoted(text: str) -> str:
    def inside(quoted: str) -> str:
        return f" {quoted.strip(_QUOTES)} "

    return " ".join(QUOTED.sub(lambda match: inside(match[0]), text).split())


def _words(wanted: str, is_quoted: bool, reading: Reading | None) -> str | None:
    """As `storage.words.picture_words` takes them. Articles are in no caption for certain, and
    numbers alone are in every file's name by chance."""
    if is_quoted and reading is not None:
        pieces = (match[0].strip(_QUOTES) for match in QUOTED.finditer(reading.wanted))
        return " ".join(f'"{piece}"' for piece in pieces)
    articles = frozenset().union(
        *(grammar.of("article") for grammar in negation_rules().grammars.values())
    )
    words = [word for word in wanted.split() if word.lower() not in articles]
    if not any(char.isalpha() for char in wanted):
        return None
    return " ".join(words or wanted.split())
