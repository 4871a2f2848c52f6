"""Pictures from outside are decoded in processes of their own, and never in this one.

A picture that crashes a decoder, or keeps it busy for ever, costs its own request and the worker
that was at it; the next request gets another.
"""

import os
import pickle
import threading
import time
from functools import cached_property
from typing import Any

from encoders import Preprocessed, Preprocessor
from imaging import DecodeLimits
from imaging.workers import Worker, WorkerLost, WorkersUnavailable, nursery
from search.config import SearchConfig
from search.errors import DecodersUnavailable, PictureRejected
from search.query.decode_task import DecodePictures, PictureSent, Undecodable

MOST_WORKERS = max(2, min(4, os.cpu_count() or 1))
"""They are started only while so many pictures come at once."""

TURN_S = 5.0
"""Who waits holds a thread of the server, which others need for their searches."""

_SIGKILL, _SIGALRM = 9, 14


class PictureDecoder:
    """Safe to share between threads. The first picture waits for a worker to start."""

    def __init__(self, preprocessor: Preprocessor, config: SearchConfig) -> None:
        """preprocessor: goes to the workers, pickled."""
        self._preprocessor = preprocessor
        self._config = config
        self._places = threading.BoundedSemaphore(MOST_WORKERS)

    def preprocess(self, data: bytes) -> Preprocessed:
        """The encoder's input for a picture that a user sent. Raises PictureRejected,
        DecodersUnavailable."""
        made: Preprocessed = self._ask(PictureSent(data, self._upload_limits, None))
        return made

    def thumbnail(self, data: bytes, side: int, limits: DecodeLimits | None = None) -> bytes:
        """WebP. limits: None for a picture that a user sent. Raises PictureRejected,
        DecodersUnavailable."""
        made: bytes = self._ask(PictureSent(data, limits or self._upload_limits, side))
        return made

    @property
    def _upload_limits(self) -> DecodeLimits:
        return DecodeLimits(self._config.max_upload_pixels, self._config.max_upload_bytes)

    @cached_property
    def _task(self) -> bytes:
        return pickle.dumps(DecodePictures(self._preprocessor, self._config.decode_seconds))

    def _ask(self, sent: PictureSent) -> Any:
        turn_s = min(TURN_S, self._config.decode_seconds)
        if not self._places.acquire(timeout=turn_s):
            raise DecodersUnavailable(
                f"So many pictures are being read that this one had no turn within {turn_s:g} s. "
                "Send it again a little later."
            )
        try:
            answer = self._answer(sent)
        except WorkersUnavailable as error:
            raise DecodersUnavailable(str(error)) from error
        except WorkerLost as lost:
            raise self._why_lost(lost) from lost
        except TimeoutError as error:
            raise self._too_slow() from error
        finally:
            self._places.release()
        if isinstance(answer, Undecodable):
            raise PictureRejected(answer.kind, f"The picture {answer.reason}")
        return answer

    def _answer(self, sent: PictureSent) -> Any:
        worker: Worker = nursery.take(self._task)
        try:
            answer = worker.ask(sent, time.monotonic() + self._config.decode_seconds)
        except BaseException:
            nursery.end(worker)
            raise
        nursery.give_back(worker)
        return answer

    def _why_lost(self, lost: WorkerLost) -> PictureRejected:
        if lost.signal_number == _SIGALRM:  # it has noticed before us
            return self._too_slow()
        if lost.signal_number == _SIGKILL:
            return PictureRejected(
                "out_of_memory",
                "The process that decoded the picture was killed, most likely because memory ran "
                "out: send a smaller one",
            )
        return PictureRejected(
            "decoder_crashed",
            f"The picture crashes its decoder ({lost.how}): it is damaged in a way that the "
            "decoder does not survive. Save it anew as JPEG, PNG or WebP and send that",
        )

    def _too_slow(self) -> PictureRejected:
        return PictureRejected(
            "too_slow",
            f"The picture takes longer to decode than {self._config.decode_seconds:g} s: send a "
            "smaller one (or raise search.decode_seconds on the server)",
        )
