"""Texts → embeddings: which concepts a query means."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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

    The whole decides what another word for a known thing means ("locomotive à vapeur"); the
    names in it, what a sentence is about ("a dog on the beach").
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
        rows = [np.zeros((0, len(concept_keys())), np.float32)]
        for start in range(0, len(texts), LARGEST_BATCH):
            rows.append(self._read(texts[start : start + LARGEST_BATCH]))
        return np.concatenate(rows)

    def _read(self, texts: Sequence[str]) -> Embeddings:
        known = [self._dictionary.whole(text) for text in texts]
        points = self._names.place(self._sentences.embeddings(texts))
        scores, nearest = self._names.concept_scores(points, known)
        whole = query_embeddings(scores)
        for number, text in enumerate(texts):
            parts = [] if known[number] else self._dictionary.parts(text)
            if parts:
                share = _share_of_whole(float(nearest[number]))
                whole[number] *= share
                whole[number] += (1 - share) * self._meaning(parts)
        return unit(whole)

    def _meaning(self, parts: list[list[int]]) -> NDArray[np.float32]:
        """(concepts,): what these names mean together."""
        points = self._names.points([rows[0] for rows in parts])
        scores, _ = self._names.concept_scores(points, parts)
        return np.asarray(unit(query_embeddings(scores).sum(axis=0, keepdims=True))[0])


def _share_of_whole(nearest: float) -> float:
    return float(1 / (1 + np.exp((FAMILIAR - nearest) / FAMILIAR_WITHIN)))
