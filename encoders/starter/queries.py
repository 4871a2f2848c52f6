"""Texts → embeddings: which concepts a query means."""

from collections.abc import Sequence

import numpy as np

from encoders.protocol import Embeddings
from encoders.starter.concepts import query_embeddings
from encoders.starter.dictionary import Dictionary
from encoders.starter.lexicon import concept_keys, read_lexicon
from encoders.starter.names import Names, owners_in, stored_points, unit
from encoders.starter.sentences import SentenceModel

LARGEST_BATCH = 32
"""Queries at once: each is compared with 63,000 names."""

FAMILIAR = 0.62
"""Cosine with the nearest name at which the whole query counts as much as the names in it: other
names for a concept are at .64 in the median, sentences at .57."""

FAMILIAR_WITHIN = 0.03


class QueryReader:
    """Reads a query as a whole and by the names in it.

    A known name means what bears it. Of all other queries, the whole decides what another word
    for a known thing means ("locomotive à vapeur"), and the names in it, what a sentence is about
    ("a dog on the beach").
    """

    def __init__(self, names: Names, dictionary: Dictionary, sentences: SentenceModel) -> None:
        self._names = names
        self._dictionary = dictionary
        self._sentences = sentences

    @classmethod
    def load(cls) -> "QueryReader":
        """With the whole lexicon."""
        lexicon = read_lexicon()
        owners = owners_in(lexicon)
        dictionary = Dictionary(lexicon, owners.rows())
        return cls(Names(*stored_points(), owners), dictionary, SentenceModel())

    def embeddings(self, texts: Sequence[str]) -> Embeddings:
        """→ (n, concepts)."""
        embeddings = np.empty((len(texts), len(concept_keys())), np.float32)
        known = [self._dictionary.whole(text) for text in texts]
        for batch in _batches([number for number, rows in enumerate(known) if rows]):
            embeddings[batch] = self._meanings([known[number] for number in batch])
        for batch in _batches([number for number, rows in enumerate(known) if not rows]):
            embeddings[batch] = self._read([texts[number] for number in batch])
        return embeddings

    def _read(self, texts: list[str]) -> Embeddings:
        points = self._names.place(self._sentences.embeddings(texts))
        scores, nearest = self._names.concept_scores(points, [[]] * len(texts))
        embeddings = query_embeddings(scores)
        for number, text in enumerate(texts):
            parts = self._dictionary.parts(text)
            if parts:
                share = _share_of_whole(float(nearest[number]))
                together = unit(self._meanings(parts).sum(axis=0, keepdims=True))[0]
                embeddings[number] = share * embeddings[number] + (1 - share) * together
        return unit(embeddings)

    def _meanings(self, names: list[list[int]]) -> Embeddings:
        """Rows of the names that are one in spelling → (n, concepts)."""
        points = self._names.points([rows[0] for rows in names])
        return query_embeddings(self._names.concept_scores(points, names)[0])


def _batches(numbers: list[int]) -> list[list[int]]:
    starts = range(0, len(numbers), LARGEST_BATCH)
    return [numbers[start : start + LARGEST_BATCH] for start in starts]


def _share_of_whole(nearest: float) -> float:
    return float(1 / (1 + np.exp((FAMILIAR - nearest) / FAMILIAR_WITHIN)))
