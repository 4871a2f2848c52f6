"""The pictures of a page, with what is known of each and why it is there."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from search.query.reading import ReadRequest
from search.ranking.fusion import floor_of
from search.ranking.plan import Plan
from search.ranking.relevance import NOTHING_BELOW
from search.results import RankedImage
from storage.index.snapshot import Nearest
from storage.pictures import get_images
from storage.records import PictureText
from storage.words.picture_words import matching_words, texts_of

Scores = NDArray[np.float32]

CAPTIONS = ("caption", "description", "title")
"""What may serve as a caption, the best first."""


class Describer:
    def __init__(self, engine: Engine, asked: ReadRequest, plan: Plan) -> None:
        self._engine = engine
        self._asked = asked
        self._plan = plan
        self._matched: Mapping[int, tuple[str, ...]] = {}
        self._seen: frozenset[int] = frozenset()

    def relevances(self, near: Nearest, by_score: Scores) -> Scores:
        """(n,): by the score, or by the words where they say more."""
        ids = near.image_ids.tolist()
        self._matched = self._words_of(ids)
        self._seen = frozenset(
            image_id
            for image_id, relevance in zip(ids, by_score.tolist(), strict=True)
            if relevance >= NOTHING_BELOW
        )
        floors = np.array([self._floor(image_id) for image_id in ids], dtype=np.float32)
        if len(ids) and floors.any():
            shown = self._plan.ranking.shows_unwanted(near.image_ids)
            floors[shown >= NOTHING_BELOW] = 0.0
        return np.maximum(by_score, floors)

    def describe(
        self, near: Nearest, relevances: Scores, probabilities: Scores | None
    ) -> list[RankedImage]:
        """`relevances` comes first."""
        ids = near.image_ids.tolist()
        images = get_images(self._engine, ids)
        texts = texts_of(self._engine, ids)
        folded = self._plan.folded.folded if self._plan.folded else {}
        return [
            RankedImage(
                images[image_id],
                float(near.scores[place]),
                float(relevances[place]),
                None if probabilities is None else float(probabilities[place]),
                matched=self._why(image_id),
                caption=_caption(texts.get(image_id, ())),
                folded=folded.get(image_id, 0),
            )
            for place, image_id in enumerate(ids)
            if image_id in images
        ]

    def _words_of(self, image_ids: list[int]) -> dict[int, tuple[str, ...]]:
        if self._asked.words is None or not image_ids:
            return {}
        found = self._plan.words
        if found is None:
            ascending = np.array(sorted(image_ids), dtype=np.int64)
            found = matching_words(self._engine, self._asked.words, len(image_ids), ascending)
        return {each.image_id: each.matched for each in found}

    def _floor(self, image_id: int) -> float:
        matched = self._matched.get(image_id, ())
        # Behind the lead the order is that of the score, and relevance has to fall with it.
        counts = self._asked.is_quoted or self._plan.dates or image_id in self._plan.lead.lead
        return floor_of(matched) if counts else 0.0

    def _why(self, image_id: int) -> tuple[str, ...]:
        words = self._matched.get(image_id, ())
        by_picture = image_id in self._seen or not words
        return ("picture", *words) if by_picture else words


def _caption(texts: Sequence[PictureText]) -> str | None:
    for kind in CAPTIONS:
        for text in texts:
            if text.kind == kind:
                return text.text
    return None
