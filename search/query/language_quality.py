"""How well checkpoints know languages, as far as figures are published.

language_quality.tsv: text-to-image recall in percent (mean of R@1, R@5 and R@10) on XM3600, as
Immich's documentation of its models gives it for the 224-pixel base and the 384-pixel so400m
checkpoints of SigLIP 2. Others of the same size differ little from these. No figure: the language
is in XM3600, and the checkpoint's were left out of the list.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from encoders.load import STARTER
from encoders.starter.lexicon import languages as starter_languages

LISTING = Path(__file__).with_name("language_quality.tsv")

WEAK_BELOW = 50.0
STRONGER = "google/siglip2-so400m-patch16-384"
BEYOND_THE_STARTER = "google/siglip2-base-patch16-224"

NAMES = {
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "da": "Danish",
    "el": "Greek",
    "fi": "Finnish",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "mr": "Marathi",
    "ms": "Malay",
    "ne": "Nepali",
    "no": "Norwegian",
    "ro": "Romanian",
    "sk": "Slovak",
    "sr": "Serbian",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "ur": "Urdu",
}


@dataclass(frozen=True)
class Quality:
    recall: float | None
    """Percent; None where a list of them leaves the language out."""


@cache
def _published() -> dict[tuple[str, str], Quality]:
    with LISTING.open(encoding="utf-8", newline="") as file:
        return {
            (row["checkpoint"], row["language"]): Quality(
                float(row["recall"]) if row["recall"] else None
            )
            for row in csv.DictReader(file, delimiter="\t")
        }


def quality_of(checkpoint: str, language: str) -> Quality | None:
    """None where nothing is published. Checkpoints are known by how their names begin."""
    for (beginning, listed), quality in _published().items():
        if listed == language and checkpoint.startswith(beginning):
            return quality
    return None


def language_warnings(checkpoint: str, language: str | None) -> list[str]:
    """That the model is weak in the language, and which one is better."""
    if language is None:
        return []
    name = NAMES.get(language, language)
    if checkpoint == STARTER:
        if language in starter_languages():
            return []
        return [
            f"The starter encoder has no words of {name} and can only guess; "
            f"{BEYOND_THE_STARTER} knows it better."
        ]
    quality = quality_of(checkpoint, language)
    if quality is None or (quality.recall is not None and quality.recall >= WEAK_BELOW):
        return []
    known = (
        f"it finds {quality.recall:.0f} % in {name}"
        if quality.recall is not None
        else f"no figures are published for {name}"
    )
    return [f"{checkpoint} is weak in {name} ({known}, of XM3600).{_better(checkpoint, language)}"]


def _better(checkpoint: str, language: str) -> str:
    own, stronger = quality_of(checkpoint, language), quality_of(STRONGER, language)
    if own is None or stronger is None or stronger.recall is None:
        return " English words may find more."
    if own.recall is not None and own.recall >= stronger.recall:
        return " English words may find more."
    return f" {STRONGER} is better at it ({stronger.recall:.0f} %)."
