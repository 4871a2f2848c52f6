import re
import unicodedata
from collections import Counter
from itertools import chain

import pytest

from encoders.starter.lexicon import (
    Broader,
    concept_keys,
    fold,
    languages,
    read_broader,
    read_names,
)

LATIN = {"cs", "de", "en", "es", "fr", "id", "it", "nl", "pl", "pt", "sv", "sw", "tr", "vi"}

SCRIPTS = {
    "zh": "CJK",
    "ja": "CJK|HIRAGANA|KATAKANA",
    "ko": "HANGUL",
    "ru": "CYRILLIC",
    "uk": "CYRILLIC",
    "ar": "ARABIC",
    "fa": "ARABIC",
    "hi": "DEVANAGARI",
    "bn": "BENGALI",
    "th": "THAI",
} | dict.fromkeys(LATIN, "LATIN")

LANGUAGES = sorted(SCRIPTS)


def test_there_is_a_lexicon_for_every_language():
    assert languages() == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_concept_has_a_name(language):
    names = read_names(language)
    assert list(names) == concept_keys()
    assert all(name and name == " ".join(name.split()) for name in chain(*names.values()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_class_bears_the_name_of_another(language):
    names = read_names(language)
    for kind in (str.isdigit, lambda key: not key.isdigit()):
        owners = Counter(
            name for key in names if kind(key) for name in {fold(name) for name in names[key]}
        )
        assert [name for name, count in owners.items() if count > 1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_in_the_script_of_their_language(language):
    names = chain(*read_names(language).values())
    assert [name for name in names if not _has_letter_of(SCRIPTS[language], name)] == []


def test_a_broader_concept_covers_classes_of_the_network():
    broader = read_broader()
    assert all(covered.classes for covered in broader.values())
    assert set(chain(*(covered.classes for covered in broader.values()))) <= set(range(1000))
    assert broader["dog"] == Broader(list(range(151, 269)), [])
    car_wheel, convertible = 479, 511
    assert convertible in broader["car"].classes
    assert car_wheel in broader["car"].beside


def test_no_class_is_both_of_a_kind_and_beside_it():
    for covered in read_broader().values():
        assert set(covered.beside) <= set(range(1000))
        assert not set(covered.classes) & set(covered.beside)


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("  Con\tMÈO ", "con mèo"),
        (unicodedata.normalize("NFD", "Köpek"), "köpek"),
        ("İNEK", "inek"),
        ("كَلْب", "كلب"),
    ],
)
def test_folding_brings_spellings_together(written, folded):
    assert fold(written) == folded


def _has_letter_of(script: str, name: str) -> bool:
    return any(re.match(script, unicodedata.name(character, "")) for character in name)
