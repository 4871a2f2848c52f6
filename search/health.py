"""Whether the process lives, and whether it can answer searches; for whoever supervises it."""

import threading

from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError

from search import schemas
from search.engine import SearchEngine
from search.problems import register_problems
from storage.errors import CatalogUnusable

PROBE = "a photo"


def make_blueprint(engine: SearchEngine) -> Blueprint:
    health = Blueprint("health", __name__)
    register_problems(health)
    model = _ModelProbe(engine)

    @health.get("/healthz")
    def healthz() -> Response:
        return _answer(schemas.Alive(status="alive"))

    @health.get("/readyz")
    def readyz() -> Response:
        model.check()
        try:
            snapshot = engine.snapshot()
        except (SQLAlchemyError, OSError) as error:
            raise CatalogUnusable(
                "The library can't be read; the server's log says why."
            ) from error
        return _answer(
            schemas.Ready(
                status="ready",
                model=engine.space.checkpoint,
                searchable=len(snapshot.image_ids),
                index_generation=snapshot.manifest.generation if snapshot.manifest else None,
            )
        )

    return health


class _ModelProbe:
    """Embeds one text the first time it is asked: a supervisor may ask every second."""

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._answered = False

    def check(self) -> None:
        """Raises EncoderError."""
        with self._lock:
            if not self._answered:
                self._engine.encoder.encode_texts([PROBE])
                self._answered = True


def _answer(model: schemas.Alive | schemas.Ready) -> Response:
    response = Response(model.model_dump_json(), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
