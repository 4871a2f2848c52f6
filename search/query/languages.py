"""Which language a query is in, as far as a few words can say.

The script decides where it can. Where several languages share one, py3langid's model does: it is
small (4.6 MB, no model to fetch) and lets the choice be limited to the languages that people may
search in here. It is loaded by the first query that needs it.
"""

import threading
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

LIKELY = "ar bn cs de en es fa fr hi id it ja ko nl pl pt ru sv sw th tr uk vi zh".split()  # noqa: SIM905
LESS_LIKELY = "bg ca da el fi he hr hu mr ms ne no ro sk sr ta te ur".split()  # noqa: SIM905
"""Languages that are thought of as well, so that theirs is not taken for another."""

HANDICAP = 6.0
"""Nats that a less likely language must make up for."""

SURE = 4.5
"""Nats by which a language must lead the next. Of 3,600 names of things in 24 languages, of one or
two words each, 54 % are then told, 96 % of them rightly."""

BY_SCRIPT = {
    "HANGUL": "ko",
    "THAI": "th",
    "BENGALI": "bn",
    "GREEK": "el",
    "HEBREW": "he",
    "TAMIL": "ta",
    "TELUGU": "te",
}
"""Scripts that, of all languages that are thought of, one alone is written in."""

SHARED_SCRIPTS = {
    "CYRILLIC": {"bg", "ru", "sr", "uk"},
    "ARABIC": {"ar", "fa", "ur"},
    "DEVANAGARI": {"hi", "mr", "ne"},
    "CJK": {"ja", "zh"},
}
"""All others are written in Latin letters."""
VIETNAMESE_ALONE = frozenset("ơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ")
LEAST_SHARE = 0.8
"""Of the letters, that must be of one script."""


def language_of(text: str) -> str | None:
    """A BCP 47 tag; None where the words can't tell."""
    letters = _letters(text)
    script = _script(letters)
    if script is None or script in BY_SCRIPT or script == "KANA":
        return "ja" if script == "KANA" else BY_SCRIPT.get(script or "")
    if VIETNAMESE_ALONE & set(letters):
        return "vi"
    possible = _written_in(script)
    ranked = sorted(
        ((score, language) for language, score in language_scores(text).items()), reverse=True
    )
    ranked = [each for each in ranked if each[1] in possible]
    if not ranked or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < SURE):
        return None
    return ranked[0][1]


def _written_in(script: str) -> set[str]:
    if script != "LATIN":
        return SHARED_SCRIPTS.get(script, set())
    others = set(BY_SCRIPT.values()).union(*SHARED_SCRIPTS.values())
    return {*LIKELY, *LESS_LIKELY} - others


@lru_cache(maxsize=256)
def language_scores(text: str) -> Mapping[str, float]:
    """Log-likelihoods, in nats, by language; empty where the model knows nothing of the text."""
    text = " ".join(text.split())
    model = _model()
    with _LOADING:
        ranked = model.rank(text.lower() if text.isupper() else text)
    found = {language: float(score) for language, score in ranked}
    if max(found.values()) < -1e30:
        return {}
    return {
        language: score - (HANDICAP if language in LESS_LIKELY else 0.0)
        for language, score in found.items()
    }


_LOADING = threading.Lock()


def _model() -> Any:
    with _LOADING:  # who comes while it is being unpacked gets that one
        return _unpacked()


@cache
def _unpacked() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE)
    model.set_languages([*LIKELY, *LESS_LIKELY])
    return model


def load_language_model() -> None:
    """So that no query has to wait for it: a third of a second."""
    _model()


def _letters(text: str) -> list[str]:
    return [char for char in unicodedata.normalize("NFC", text).lower() if char.isalpha()]


def _script(letters: list[str]) -> str | None:
    """As Unicode names letters; KANA for Japanese, of which Chinese characters are a part."""
    counts = Counter(unicodedata.name(char, "OTHER").split()[0].split("-")[0] for char in letters)
    kana = (
        counts.pop("HIRAGANA", 0) + counts.pop("KATAKANA", 0) + counts.pop("KATAKANA-HIRAGANA", 0)
    )
    if kana:
        counts["KANA"] = kana + counts.pop("CJK", 0)
    if not counts:
        return None
    script, count = counts.most_common(1)[0]
    return script if count >= LEAST_SHARE * counts.total() else None
