"""Background queries: what arbitrary queries of a language and length score with any picture.

A cosine means nothing by itself: it depends on the language, on the length of the query, on the
picture. What says something is how it compares with the cosines that other queries of that kind
get from the same picture.
"""

import csv
import unicodedata
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders import Embeddings, Encoder
from storage.atomic import write_atomic

LISTING = Path(__file__).with_name("background_queries.tsv")
BATCH = 64

VIETNAMESE = set("ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ")
"""Letters that hardly any other language writes (â, ê and ô aside, which alone decide nothing)."""
SHARED_WITH_OTHERS = set("âêô")
LONG_AFTER = {"CJK": 6, "HIRAGANA": 9, "KATAKANA": 9, "HANGUL": 9, "THAI": 14}
"""Letters from which a query counts as long, where words are not set apart by spaces."""
LONG_AFTER_WORDS = 3


@dataclass(frozen=True)
class Kind:
    """What queries are compared with their like by: script (Vietnamese apart) and length."""

    script: str
    is_long: bool


def kind_of(text: str) -> Kind:
    letters = [char for char in unicodedata.normalize("NFC", text).lower() if char.isalpha()]
    scripts = Counter(unicodedata.name(char, "OTHER").split()[0].split("-")[0] for char in letters)
    script = scripts.most_common(1)[0][0] if scripts else "LATIN"
    if scripts["HIRAGANA"] or scripts["KATAKANA"]:
        script = "HIRAGANA"
    if script == "LATIN" and set(letters) & (VIETNAMESE - SHARED_WITH_OTHERS):
        script = "VIETNAMESE"
    if script in LONG_AFTER:
        return Kind(script, len(letters) >= LONG_AFTER[script])
    return Kind(script, len(text.split()) >= LONG_AFTER_WORDS)


@dataclass(frozen=True)
class Background:
    """Background queries, embedded by one encoder."""

    kinds: tuple[Kind, ...]
    embeddings: Embeddings
    """(n, dim)"""

    def like(self, text: str) -> Embeddings:
        """(m, dim) of the queries of the text's kind; of its script, or all, if these are few."""
        wanted = kind_of(text)
        same_script = np.array([kind.script == wanted.script for kind in self.kinds])
        same = same_script & np.array([kind.is_long == wanted.is_long for kind in self.kinds])
        for chosen in (same, same_script):
            if chosen.sum() >= FEWEST:
                alike: Embeddings = self.embeddings[chosen]
                return alike
        return self.embeddings


FEWEST = 8


def background_texts() -> list[str]:
    with LISTING.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file, delimiter="\t")]


def load_background(path: Path) -> Background | None:
    """None when it was not made yet, or of another listing."""
    texts = background_texts()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if stored["texts"].tolist() != texts:
                return None
            return Background(tuple(kind_of(text) for text in texts), stored["embeddings"])
    except (FileNotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def embed_background(encoder: Encoder) -> Background:
    """Some hundreds of texts: seconds to half a minute, once for an encoder."""
    texts = background_texts()
    blocks: list[NDArray[np.float32]] = [
        encoder.encode_texts(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)
    ]
    return Background(tuple(kind_of(text) for text in texts), np.concatenate(blocks))


def save_background(background: Background, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(to: Path) -> None:
        with to.open("wb") as file:
            np.savez(file, texts=np.array(background_texts()), embeddings=background.embeddings)

    write_atomic(path, write)
