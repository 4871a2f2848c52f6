"""The engine: embed the query, find the nearest pictures, say how relevant they are."""

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders import Encoder
from imaging import DecodeLimits, UnreadableImage, decode_image
from search.classify import LabelScore, classify_embedding
from search.config import SearchConfig
from search.cursor import Cursor
from search.errors import FieldError, ImageUnknown, InvalidRequest, PictureRejected
from search.relevance import (
    BackgroundSource,
    RelevanceModel,
    relevance_of_image_query,
    says_nothing_relevant,
)
from search.schemas import ClassifyRequest, ImageInput, SearchRequest, Term
from storage.library import Library
from storage.pictures import filter_ids, get_images
from storage.records import ImageRecord
from storage.snapshot import Nearest, Snapshot
from storage.spaces import require_same_space

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class RankedImage:
    image: ImageRecord
    score: float
    relevance: float
    probability: float | None
    """The encoder's own estimate that text and picture match; None without a text."""


@dataclass(frozen=True)
class SearchResult:
    """What the engine found; `search.api` and `webui` put it into their own words."""

    hits: list[RankedImage]
    next_cursor: str | None
    total: int
    exact: bool
    nothing_relevant: bool
    embed_ms: float
    search_ms: float
    total_ms: float
    warnings: list[str]


@dataclass(frozen=True)
class EmbeddedQuery:
    """A query as one vector, and what it is made of."""

    vector: Vector
    text: str | None
    """What it asks for in words; None when only pictures say it."""
    warnings: list[str]
    exclude: frozenset[int]
    """Images that are the query themselves."""


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
        self._reader = library.reader(space)
        self._relevance = RelevanceModel(encoder, background)
        self._embed_text = lru_cache(maxsize=config.cached_queries)(self._embed_text_now)

    def snapshot(self) -> Snapshot:
        return self._reader.current()

    def search(self, request: SearchRequest) -> SearchResult:
        """Raises InvalidRequest, ImageUnknown, PictureRejected."""
        began = time.perf_counter()
        self._check_limits(request)
        snapshot = self.snapshot()
        query = self._embed(request, snapshot)
        embedded = time.perf_counter()
        allowed = None
        chosen = request.filters.for_storage()
        if not chosen.is_empty:
            allowed = filter_ids(self.library.engine, chosen)
            allowed = np.intersect1d(allowed, snapshot.image_ids, assume_unique=True)
        if query.exclude:
            everything = snapshot.image_ids if allowed is None else allowed
            allowed = np.setdiff1d(everything, list(query.exclude), assume_unique=True)
        total = len(snapshot.image_ids) if allowed is None else len(allowed)
        page, more = self._page(snapshot, query.vector, request, allowed)
        relevances = self._relevances(query, page.scores, snapshot)
        probabilities = None if query.text is None else self.encoder.match_probability(page.scores)
        ranked = self._describe(page, relevances, probabilities, request.min_relevance)
        finished = time.perf_counter()
        cursor = None
        if more and relevances.min() >= request.min_relevance:
            before = Cursor.decode(request.cursor).given if request.cursor else 0
            given = before + len(page.image_ids)
            last = Cursor(float(page.scores[-1]), int(page.image_ids[-1]), given)
            cursor = last.encode()
        return SearchResult(
            hits=ranked,
            next_cursor=cursor,
            total=total,
            exact=page.exact,
            nothing_relevant=request.cursor is None and says_nothing_relevant(list(relevances)),
            embed_ms=(embedded - began) * 1000,
            search_ms=(finished - embedded) * 1000,
            total_ms=(finished - began) * 1000,
            warnings=query.warnings,
        )

    def classify(self, request: ClassifyRequest) -> list[LabelScore]:
        """Raises ImageUnknown, PictureRejected, InvalidRequest."""
        for place, label in enumerate(request.labels):
            self._check_length(f"labels.{place}", label)
        snapshot = self.snapshot()
        picture = self._embed_image(request.image, snapshot)
        return classify_embedding(self.encoder, picture, request.labels)

    def decode_upload(self, data: bytes) -> Image.Image:
        """A picture sent by a user → upright RGB. Raises PictureRejected."""
        limits = DecodeLimits(
            max_pixels=self.config.max_upload_pixels, max_bytes=self.config.max_upload_bytes
        )
        try:
            decoded = decode_image(data, min_side=self.encoder.min_decode_side, limits=limits)
        except UnreadableImage as error:
            raise PictureRejected(error.kind, f"The picture {error}") from error
        return decoded.image

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

    def _check_length(self, field: str, text: str) -> None:
        most = self.config.max_query_characters
        if len(text) > most:
            raise InvalidRequest(FieldError(field, f"{len(text)} characters are more than {most}"))

    def _embed(self, request: SearchRequest, snapshot: Snapshot) -> EmbeddedQuery:
        positive = list(request.positive)
        if request.query is not None:
            positive.insert(0, Term(text=request.query))
        if request.image is not None:
            positive.insert(0, Term(image=request.image))
        total = np.zeros(self.encoder.space.dim, dtype=np.float32)
        for sign, terms in ((1.0, positive), (-1.0, request.negative)):
            for term in terms:
                total += sign * term.weight * self._embed_term(term, snapshot)
        norm = float(np.linalg.norm(total))
        if norm < 1e-6:
            raise InvalidRequest(FieldError("negative", "takes away all that the query asks for"))
        terms = [*positive, *request.negative]
        warnings = [
            warning
            for term in terms
            if term.text is not None
            for warning in self.encoder.text_warnings(term.text)
        ]
        by_id = (term.image.id for term in terms if term.image is not None)
        return EmbeddedQuery(
            vector=total / norm,
            text=" ".join(term.text for term in positive if term.text is not None) or None,
            warnings=warnings,
            exclude=frozenset(image_id for image_id in by_id if image_id is not None),
        )

    def _embed_term(self, term: Term, snapshot: Snapshot) -> Vector:
        if term.text is not None:
            return self._embed_text(term.text)
        assert term.image is not None
        return self._embed_image(term.image, snapshot)

    def _embed_text_now(self, text: str) -> Vector:
        embedding: Vector = self.encoder.encode_texts([text])[0]
        embedding.setflags(write=False)
        return embedding

    def _embed_image(self, image: ImageInput, snapshot: Snapshot) -> Vector:
        if image.id is not None:
            known = snapshot.embedding(image.id)
            if known is None:
                raise ImageUnknown(image.id)
            return known
        picture = self.decode_upload(image.sent_bytes())
        embedding: Vector = self.encoder.encode_images([picture])[0]
        return embedding

    def _page(
        self,
        snapshot: Snapshot,
        vector: Vector,
        request: SearchRequest,
        allowed: NDArray[np.int64] | None,
    ) -> tuple[Nearest, bool]:
        """The hits after the cursor, and whether there are more behind them."""
        after = Cursor.decode(request.cursor) if request.cursor else None
        wanted = request.limit + 1 + (after.given if after else 0)
        while True:
            found = snapshot.nearest(vector, wanted, allowed)
            exhausted = len(found.image_ids) < wanted
            rest = found if after is None else _behind(found, after)
            if exhausted or len(rest.image_ids) > request.limit:
                break
            wanted *= 2  # pictures have come in above the cursor since: look deeper
        page = Nearest(rest.image_ids[: request.limit], rest.scores[: request.limit], rest.exact)
        return page, len(rest.image_ids) > request.limit

    def _relevances(self, query: EmbeddedQuery, scores: Vector, snapshot: Snapshot) -> Vector:
        if query.text is None:
            return relevance_of_image_query(scores)
        return self._relevance.of_text_query(query.text, scores, snapshot)

    def _describe(
        self, page: Nearest, relevances: Vector, probabilities: Vector | None, least: float
    ) -> list[RankedImage]:
        """The page's hits of at least that relevance, with their records."""
        images = get_images(self.library.engine, page.image_ids.tolist())
        return [
            RankedImage(
                images[image_id],
                float(page.scores[place]),
                float(relevances[place]),
                None if probabilities is None else float(probabilities[place]),
            )
            for place, image_id in enumerate(page.image_ids.tolist())
            if relevances[place] >= least and image_id in images
        ]


def _behind(found: Nearest, after: Cursor) -> Nearest:
    lower = found.scores < np.float32(after.score)
    tied = (found.scores == np.float32(after.score)) & (found.image_ids > after.image_id)
    keep = lower | tied
    return Nearest(found.image_ids[keep], found.scores[keep], found.exact)
