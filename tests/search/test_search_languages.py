import subprocess
import sys

import pytest

from encoders.starter.lexicon import languages as lexicon_languages
from encoders.starter.lexicon import read_names
from search.query.language_quality import language_warnings, quality_of
from search.query.languages import language_of

PHRASES = {
    "en": "a dog running on a beach",
    "vi": "chó trên bãi biển",
    "zh": "海滩上的狗",
    "ja": "海辺の犬",
    "ko": "해변의 개",
    "fr": "chien sur la plage",
    "de": "Hund am Strand",
    "es": "perro en la playa",
    "pt": "cachorro na praia",
    "it": "cane sulla spiaggia",
    "nl": "hond op het strand",
    "sv": "en röd stuga vid en sjö i skogen",
    "pl": "pies biegnący na plaży",
    "cs": "pes na pláži",
    "ru": "собака, которая бежит по пляжу",
    "uk": "собака на пляжі",
    "tr": "plajda koşan bir köpek",
    "ar": "كلب على الشاطئ",
    "fa": "سگ در ساحل",
    "hi": "समुद्र तट पर कुत्ता",
    "bn": "সৈকতে কুকুর",
    "th": "สุนัขบนชายหาด",
    "id": "anjing berlari di pantai",
    "sw": "mbwa ufukweni",
    "el": "σκύλος στην παραλία",
    "he": "כלב על החוף",
}


@pytest.mark.parametrize(("language", "text"), PHRASES.items())
def test_the_language_of_an_everyday_phrase_is_told(language: str, text: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["猫", "cat", "gato", "2024", "IMG_1234", "🐱", "taxi", "кошка猫"])
def test_what_could_be_several_languages_or_none_is_left_open(text: str) -> None:
    assert language_of(text) is None


def test_names_of_things_are_told_rightly_or_not_at_all() -> None:
    """Of one or two words each, in all languages of the starter."""
    told = right = count = 0
    for language in lexicon_languages():
        for names in list(read_names(language).values())[:1000:25]:
            found = language_of(names[0])
            count += 1
            told += found is not None
            right += found == language
    assert told >= 0.45 * count
    assert right >= 0.95 * told


def test_a_weak_language_is_warned_of_with_the_better_model() -> None:
    base = "google/siglip2-base-patch16-224"
    [hindi] = language_warnings(base, "hi")
    assert "Hindi" in hindi
    assert "28 %" in hindi
    assert "google/siglip2-so400m-patch16-384" in hindi
    assert "35 %" in hindi
    assert language_warnings(base, "vi") == []
    assert language_warnings(base, "en") == []
    assert language_warnings(base, None) == []
    [swahili] = language_warnings("google/siglip2-so400m-patch14-384", "sw")
    assert "no figures" in swahili


def test_the_starter_warns_of_languages_that_it_has_no_words_of() -> None:
    [danish] = language_warnings("starter", "da")
    assert "Danish" in danish
    assert "google/siglip2-base-patch16-224" in danish
    assert language_warnings("starter", "sw") == []


def test_figures_are_those_of_the_checkpoints_size() -> None:
    for checkpoint, thai in (
        ("google/siglip2-base-patch16-512", 37),
        ("google/siglip2-so400m-patch14-384", 46),
    ):
        quality = quality_of(checkpoint, "th")
        assert quality is not None
        assert quality.recall == thai
    assert quality_of("openai/clip-vit-base-patch32", "th") is None


def test_nothing_is_loaded_before_the_first_query() -> None:
    script = "import sys, search.engine; print('py3langid' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
