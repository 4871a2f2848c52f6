"""Queries → token ids, as each family of checkpoints was trained.

SigLIP pools the last of a fixed number of positions, which is padding for all but the longest
texts: so every text is padded to that same length and no attention mask is passed. Another
padding gives another embedding.
"""

import string
import threading
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.checkpoints.files import SIGLIP_TYPES, read_json
from encoders.errors import UnsupportedCheckpoint

TokenArrays = dict[str, NDArray[np.int64]]
"""A text tower's arguments by name, each of shape (n, length)."""


class TextInput(Protocol):
    """Texts → what the text tower takes."""

    max_tokens: int
    ignores_case: bool

    def arrays(self, texts: Sequence[str]) -> TokenArrays: ...

    def count_tokens(self, text: str) -> int:
        """Tokens of the whole text, end mark included, before it is cut to `max_tokens`."""


def fold_text(text: str) -> str:
    """Compose accents (NFC), trim, and make every run of white space one space.

    The same word in another Unicode form would be other tokens, and so another query. Halves of
    surrogate pairs, which JSON can smuggle in, are no text to any tokenizer and are dropped.
    """
    sound = text.encode("utf-8", "ignore").decode("utf-8")
    return " ".join(unicodedata.normalize("NFC", sound).split())


class FixedLengthText:
    """SigLIP: pieces, one end mark, then padding to `max_tokens`."""

    def __init__(
        self,
        pieces: Callable[[str], list[int]],
        *,
        end: int,
        padding: int,
        max_tokens: int,
        ignores_case: bool,
    ) -> None:
        self.max_tokens = max_tokens
        self.ignores_case = ignores_case
        self._pieces = pieces
        self._end = end
        self._padding = padding

    def arrays(self, texts: Sequence[str]) -> TokenArrays:
        ids = np.full((len(texts), self.max_tokens), self._padding, dtype=np.int64)
        for row, text in zip(ids, texts, strict=True):
            kept = [*self._pieces(fold_text(text))[: self.max_tokens - 1], self._end]
            row[: len(kept)] = kept
        return {"input_ids": ids}

    def count_tokens(self, text: str) -> int:
        return len(self._pieces(fold_text(text))) + 1


class MaskedText:
    """CLIP and its kin: the checkpoint's own tokenizer, and a mask over the padding."""

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._tokenizer = tokenizer
        # It holds padding and truncation as state: two threads at once get each other's lengths.
        self._lock = threading.Lock()
        # Asked rather than read from its settings, which each class calls otherwise.
        self.ignores_case = self._ids("Ab cD") == self._ids("ab cd")

    def arrays(self, texts: Sequence[str]) -> TokenArrays:
        with self._lock:
            tokens = self._tokenizer(
                [fold_text(text) for text in texts],
                padding="longest",
                truncation=True,
                max_length=self.max_tokens,
                return_tensors="np",
            )
        return {name: np.asarray(tokens[name]) for name in ("input_ids", "attention_mask")}

    def count_tokens(self, text: str) -> int:
        return len(self._ids(fold_text(text)))

    def _ids(self, text: str) -> list[int]:
        with self._lock:
            ids: list[int] = self._tokenizer(text, verbose=False)["input_ids"]
        return ids


def text_input(folder: Path, model_type: str, max_tokens: int) -> TextInput:
    """The rules of the checkpoint in `folder`, whose text tower has `max_tokens` positions."""
    if model_type not in SIGLIP_TYPES:
        return _masked(folder, max_tokens)
    settings = read_json(folder / "tokenizer_config.json")
    if settings.get("tokenizer_class") in {"SiglipTokenizer", "SiglipTokenizerFast"}:
        return _siglip1(folder, settings, max_tokens)
    return _siglip2(folder, max_tokens)


def _siglip2(folder: Path, max_tokens: int) -> TextInput:
    """Gemma's tokens of the lower-cased text.

    The hub's tokenizer class for the checkpoints of fixed resolution does not lower-case, though
    all were trained on lower case; so that is done here. Python's lower() also knows the final
    sigma, as the training's did.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UnsupportedCheckpoint(
            f"{folder} lacks tokenizer.json. Download it again with all its files."
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # it raises nothing narrower
        raise UnsupportedCheckpoint(
            f"{path} can't be read ({error}). Download the checkpoint again."
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    end, padding = (tokenizer.token_to_id(token) for token in ("<eos>", "<pad>"))
    if end is None or padding is None:
        raise UnsupportedCheckpoint(f"{path} knows no <eos> or no <pad>: not SigLIP 2's tokenizer.")

    def pieces(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text.lower(), add_special_tokens=False).ids
        return ids

    return FixedLengthText(
        pieces, end=end, padding=padding, max_tokens=max_tokens, ignores_case=True
    )


def _siglip1(folder: Path, settings: dict[str, Any], max_tokens: int) -> TextInput:
    """SentencePiece of the text without its ASCII punctuation; the end mark is the padding too."""
    import sentencepiece

    path = folder / "spiece.model"
    if not path.is_file():
        raise UnsupportedCheckpoint(
            f"{folder} lacks spiece.model. Download it again with all its files."
        )
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    lower_case = bool(settings.get("do_lower_case", True))
    without_punctuation = str.maketrans("", "", string.punctuation)
    # Text after a piece keeps its leading ▁, which the model would drop at the very start.
    opening = "<unk>"
    opening_length = len(model.encode(opening))

    def pieces(text: str) -> list[int]:
        if lower_case:
            text = text.lower()
        words = text.replace("▁", " ").translate(without_punctuation).split()
        if not words:
            return []
        ids: list[int] = model.encode(f"{opening}▁{' '.join(words)}")
        return ids[opening_length:]

    end = int(model.eos_id())
    return FixedLengthText(
        pieces, end=end, padding=end, max_tokens=max_tokens, ignores_case=lower_case
    )


def _masked(folder: Path, positions: int) -> TextInput:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return MaskedText(tokenizer, min(positions, int(tokenizer.model_max_length)))
