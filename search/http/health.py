"""Whether the process lives, and whether it can answer searches; for whoever supervises it."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flask import Blueprint, Response
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from encoders import EncoderError
from encoders.errors import SelfTestFailed
from encoders.selftest import NpzGoldenStore, run_self_test
from search import schemas
from search.engine import SearchEngine
from search.http.problems import not_ready, register_problems
from search.http.request_ids import request_id
from storage.errors import LibraryError
from storage.index.snapshot import Snapshot

PROBE = "a photo"
log = logging.getLogger(__name__)


def make_blueprint(engine: SearchEngine) -> Blueprint:
    health = Blueprint("health", __name__)
    register_problems(health)
    model = _ModelProbe(engine)

    @health.get("/healthz")
    def healthz() -> Response:
        return _answer(schemas.Alive(status="alive"))

    @health.get("/readyz")
    def readyz() -> Response:
        complaints = model.complaints()
        snapshot = _snapshot(engine, complaints)
        checks = schemas.Checks(
            model_loaded="model" not in complaints,
            index_loaded=snapshot is not None,
            self_test_passed="self-test" not in complaints and "model" not in complaints,
        )
        if snapshot is None or complaints:
            log.error("request %s: not ready: %s", request_id(), complaints)
            return not_ready(" ".join(complaints.values()), checks.model_dump())
        return _answer(
            schemas.Ready(
                status="ready",
                checks=checks,
                model=engine.space.checkpoint,
                searchable=len(snapshot.image_ids),
                index_generation=snapshot.manifest.generation if snapshot.manifest else None,
                superseded_by=engine.superseded_by(),
            )
        )

    return health


def _snapshot(engine: SearchEngine, complaints: dict[str, str]) -> Snapshot | None:
    try:
        return engine.snapshot()
    except LibraryError as error:
        complaints["index"] = str(error)
    except (SQLAlchemyError, OSError):
        log.exception("the library can't be read")
        complaints["index"] = "The library can't be read; the server's log says why."
    return None


class _ModelProbe:
    """Embeds until it has worked once: a supervisor may ask every second."""

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._passed = engine.model_is_proven

    def complaints(self) -> dict[str, str]:
        """What is wrong, under "model" or "self-test"; nothing while all is well."""
        with self._lock:
            if self._passed:
                return {}
            try:
                self._engine.encoder.encode_texts([PROBE])
            except EncoderError as error:
                return {"model": str(error)}
            try:
                run_self_test(self._engine.encoder, _RecordedOnly(self._golden()))
            except SelfTestFailed as error:
                return {"self-test": str(error)}
            except EncoderError as error:
                return {"model": str(error)}
            self._passed = True
            return {}

    def _golden(self) -> Path:
        fingerprint = self._engine.space.fingerprint
        return self._engine.library.data_dir / "golden" / f"{fingerprint[:16]}.npz"


class _RecordedOnly(NpzGoldenStore):
    """Compares with what was recorded at the first start, and records nothing: a probe only
    reads."""

    def save(self, golden: Mapping[str, NDArray[np.float32]]) -> None:
        pass


def _answer(model: schemas.Alive | schemas.Ready) -> Response:
    response = Response(model.model_dump_json(), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
