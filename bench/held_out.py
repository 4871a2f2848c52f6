"""The starter's text side with the very word that is asked for forgotten.

So a name of the lexicon stands for one that is not in it. All languages forget the word, not its
inflections or longer forms of it. What was fitted to all names (whitening, codebooks) stays.
"""

from collections.abc import Sequence

import numpy as np

from encoders.protocol import Embeddings
from encoders.starter.dictionary import Dictionary
from encoders.starter.lexicon import Lexicon, fold, read_lexicon
from encoders.starter.names import Names, owners_in, stored_points
from encoders.starter.queries import QueryReader
from encoders.starter.sentences import SentenceModel

FOLDS = 10


class ForgetfulReader:
    """Answers each query as if the query's word had never been in the lexicon."""

    def __init__(self) -> None:
        self._lexicon = read_lexicon()
        self._whitening, self._points = stored_points()
        self._row = owners_in(self._lexicon).rows()
        self._sentences = SentenceModel()

    def embeddings(self, texts: Sequence[str]) -> Embeddings:
        """→ (n, concepts). A tenth of the words at a time is forgotten and asked for."""
        words = sorted({fold(text) for text in texts})
        np.random.default_rng(0).shuffle(words)
        rows: dict[str, Embeddings] = {}
        for number in range(FOLDS):
            forgotten = words[number::FOLDS]
            answers = self._without(set(forgotten)).embeddings(forgotten)
            rows.update(zip(forgotten, answers, strict=True))
        return np.stack([rows[fold(text)] for text in texts])

    def _without(self, forgotten: set[str]) -> QueryReader:
        lexicon = _less(self._lexicon, forgotten)
        owners = owners_in(lexicon)
        points = self._points[[self._row[name] for name in owners.names]]
        names = Names(self._whitening, points, owners)
        return QueryReader(names, Dictionary(lexicon, owners.rows()), self._sentences)


def _less(lexicon: Lexicon, forgotten: set[str]) -> Lexicon:
    return {
        language: {
            key: [name for name in names if name not in forgotten]
            for key, names in concepts.items()
        }
        for language, concepts in lexicon.items()
    }
