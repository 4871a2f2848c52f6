"""The engine: read the query, embed it, plan, find, describe; each stage has a module."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from encoders import Encoder
from encoders.cores import other_work
from search.classify import LabelScore, classify_embedding
from search.config import SearchConfig
from search.errors import FieldError, InvalidRequest
from search.query.fetch import check_few_urls
from search.query.query_embedding import EmbeddedQuery, QueryEmbedder, Vector
from search.query.reading import read_request
from search.ranking.cursor import Cursor
from search.ranking.describing import Describer
from search.ranking.filtering import FilteredPictures
from search.ranking.paging import page_of
from search.ranking.plan import Planner
from search.ranking.ranking import pushes_of
from search.ranking.relevance import (
    BackgroundSource,
    Judge,
    RelevanceModel,
    relevance_of_image_query,
    says_nothing_relevant,
)
from search.results import RankedImage, SearchResult
from search.schemas import ClassifyRequest, SearchRequest
from storage.index.snapshot import Snapshot
from storage.library import Library
from storage.spaces import require_same_space

__all__ = ["RankedImage", "SearchEngine", "SearchResult", "Vector"]

Scores = NDArray[np.float32]


class SearchEngine:
    """Answers queries over the active space of a library. Safe to share between threads."""

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        config: SearchConfig,
        background: BackgroundSource | None = None,
    ) -> None:
        """Raises SpaceMismatch when the encoder is not the one that made the library.

        background: what relevance is judged against; the encoder's own calibration without it.
        """
        space = library.active_space()
        if space is None:
            raise InvalidRequest(FieldError("", "the library is empty: index some pictures first"))
        require_same_space(space, encoder.space, library.data_dir)
        self.library = library
        self.encoder = encoder
        self.config = config
        self.space = space
        self.observers: list[Callable[[SearchResult], None]] = []
        """Told of every search that was answered."""
        self.model_is_proven = False
        """Whoever made the engine has run the encoder's self-test, and it held."""
        self._reader = library.reader(space)
        self._relevance = RelevanceModel(encoder, background)
        self._filtered = FilteredPictures(library.engine)
        self.embedder = QueryEmbedder(encoder, config)
        self.decoder = self.embedder.decoder

    def warm_up(self) -> None:
        """For a server: load what the first query needs, and let none wait for a new index."""
        self.search(SearchRequest(query="a photo", limit=1))
        self._reader.open_beside()

    def snapshot(self) -> Snapshot:
        return self._reader.current()

    def superseded_by(self) -> str | None:
        """The model that the library has been moved to since; None while it is this engine's."""
        active = self.library.active_space()
        return None if active is None or active.id == self.space.id else active.checkpoint

    def search(self, request: SearchRequest) -> SearchResult:
        """Raises InvalidRequest, ImageUnknown, PictureRejected, DecodersUnavailable."""
        began = time.perf_counter()
        self._check_limits(request)
        snapshot = self.snapshot()
        after = Cursor.decode(request.cursor) if request.cursor else None
        asked = read_request(request, self.space.checkpoint)
        query = self.embedder.embed(asked, snapshot)
        embedded = time.perf_counter()
        judge = self._relevance.judge(query.text, snapshot) if query.text is not None else None

        def relevance_of(scores: Scores) -> Scores:
            return self._relevance_of(query, judge, scores)

        pushes = pushes_of(
            query, self.encoder, self._relevance, self._judges(query, after, snapshot)
        )
        filtered = self._filtered
        planner = Planner(self.library, filtered, snapshot, request, asked, after, relevance_of)
        plan = planner.plan(query.wanted, pushes, self._relevance, query.exclude)
        with other_work.going_on():
            page = page_of(plan, after, request.limit)
        describer = Describer(self.library.engine, asked, plan)
        relevances = describer.relevances(page.near, relevance_of(page.near.scores))
        ranked = describer.describe(
            page.near, relevances, self._probabilities(query, page.near.scores)
        )
        finished = time.perf_counter()
        result = SearchResult(
            hits=[hit for hit in ranked if hit.relevance >= request.min_relevance],
            next_cursor=page.next_cursor(plan, request.min_relevance, relevance_of),
            total=plan.total,
            exact=plan.exact and page.near.exact,
            nothing_relevant=after is None and says_nothing_relevant(list(relevances)),
            embed_ms=(embedded - began) * 1000,
            search_ms=(finished - embedded) * 1000,
            total_ms=(finished - began) * 1000,
            warnings=list(dict.fromkeys([*query.warnings, *asked.warnings])),
            language=asked.language,
            negations=asked.negations,
            negation_spans=asked.spans,
            searched_text=asked.searched_text,
        )
        for observer in self.observers:
            observer(result)
        return result

    def classify(self, request: ClassifyRequest) -> list[LabelScore]:
        """Raises ImageUnknown, PictureRejected, InvalidRequest, DecodersUnavailable."""
        for place, label in enumerate(request.labels):
            self._check_length(f"labels.{place}", label)
        picture = self.embedder.image(request.image, self.snapshot())
        return classify_embedding(self.encoder, picture, request.labels)

    def _judges(
        self, query: EmbeddedQuery, after: Cursor | None, snapshot: Snapshot
    ) -> list[Judge]:
        """Of what is not wanted; on later pages those of the first: all are of one order."""
        if after is not None and len(after.judges) == len(query.unwanted):
            return [Judge(*numbers) for numbers in after.judges]
        return [self._relevance.judge(each.text or "", snapshot) for each in query.unwanted]

    def _relevance_of(self, query: EmbeddedQuery, judge: Judge | None, scores: Scores) -> Scores:
        if judge is None:
            return relevance_of_image_query(scores)
        if query.is_negative:
            # Relevant to "no people" is what is not relevant to "people".
            opposite: Scores = 1 - self._relevance.by(judge, -scores)
            return opposite
        return self._relevance.by(judge, scores)

    def _probabilities(self, query: EmbeddedQuery, scores: Scores) -> Scores | None:
        if query.text is None or query.is_negative:
            return None
        return self.encoder.match_probability(scores)

    def _check_limits(self, request: SearchRequest) -> None:
        if request.limit > self.config.max_limit:
            raise InvalidRequest(
                FieldError("limit", f"{request.limit} is more than {self.config.max_limit}")
            )
        texts = [("query", request.query)]
        texts += [(f"positive.{i}.text", term.text) for i, term in enumerate(request.positive)]
        texts += [(f"negative.{i}.text", term.text) for i, term in enumerate(request.negative)]
        for field, text in texts:
            if text is not None:
                self._check_length(field, text)
        check_few_urls(term.image for term in (*request.positive, *request.negative))

    def _check_length(self, field: str, text: str) -> None:
        most = self.config.max_query_characters
        if len(text) > most:
            raise InvalidRequest(FieldError(field, f"{len(text)} characters are more than {most}"))
