"""Recall at k, by language."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders import Encoder
from search.evaluation.captions import Caption
from search.query.languages import language_of
from storage.index.snapshot import Snapshot

UNKNOWN = "und"
"""The BCP 47 tag of a language that nobody named and that the words don't tell."""
BATCH_TEXTS = 64


@dataclass(frozen=True)
class LanguageRecall:
    captions: int
    recall: Mapping[int, float]
    """By k: the share of captions of which the picture is among the first k."""


def recall_at_k(ranks: Iterable[int | None], k: int) -> float:
    """The share of ranks (the first is 1; None for what was not found) that are k or better.

    recall_at_k([1, 3, None, 2], 2) == 0.5
    """
    ranks = list(ranks)
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)


def recall_by_language(
    encoder: Encoder,
    snapshot: Snapshot,
    captions: Sequence[tuple[Caption, int]],
    *,
    cuts: Sequence[int],
    allowed: NDArray[np.int64] | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> dict[str, LanguageRecall]:
    """By language, the one with the most captions first.

    captions: with the id of the picture that each is of. A caption of several pictures is found
    with the first of them. allowed: look among these images only, ids ascending. Words in the
    catalog don't count, so that captions that were indexed can't give themselves away.
    """
    pictures: dict[tuple[str, str], set[int]] = defaultdict(set)
    for caption, image_id in captions:
        language = caption.language or language_of(caption.text) or UNKNOWN
        pictures[language, caption.text].add(image_id)
    ranks: dict[str, list[int | None]] = defaultdict(list)
    asked = list(pictures.items())
    for start in range(0, len(asked), BATCH_TEXTS):
        batch = asked[start : start + BATCH_TEXTS]
        embeddings = encoder.encode_texts([text for (_, text), _ in batch])
        for ((language, _), wanted), embedding in zip(batch, embeddings, strict=True):
            near = snapshot.nearest(embedding, max(cuts), allowed)
            places = np.flatnonzero(np.isin(near.image_ids, list(wanted)))
            ranks[language].append(int(places[0]) + 1 if len(places) else None)
        progress(len(batch))
    ordered = sorted(ranks.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        language: LanguageRecall(len(some), {k: recall_at_k(some, k) for k in cuts})
        for language, some in ordered
    }
