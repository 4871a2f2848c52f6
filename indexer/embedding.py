"""The encoder at work beside the job, a few batches ahead of the commit."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from encoders import Embeddings, Encoder, Preprocessed


class BatchEmbedder:
    """Has the next batch at hand when the encoder has done with one: it never waits for the job,
    nor at the end of a batch for its slowest part."""

    def __init__(self, encoder: Encoder, in_flight: int) -> None:
        """in_flight: batches that the encoder may be given at once."""
        self._encoder = encoder
        self._threads = ThreadPoolExecutor(in_flight, "embed")
        self._in_flight: deque[Future[Embeddings]] = deque(maxlen=in_flight)
        self._lock = threading.Lock()
        self._running = 0
        self._busy_since = 0.0
        self.seconds = 0.0
        """How long it was at work on one batch or more."""

    def embed(self, batch: Sequence[Preprocessed]) -> Future[Embeddings]:
        """Waits while the encoder has enough to do; then raises what it raised at an earlier
        batch."""
        if len(self._in_flight) == self._in_flight.maxlen:
            self._in_flight.popleft().result()
        future = self._threads.submit(self._embed, batch)
        self._in_flight.append(future)
        return future

    def close(self) -> None:
        """What has begun is waited for; nobody wants the rest."""
        self._threads.shutdown(cancel_futures=True)

    def _embed(self, batch: Sequence[Preprocessed]) -> Embeddings:
        with self._counted():
            return self._encoder.encode_preprocessed(batch)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            if not self._running:
                self._busy_since = time.monotonic()
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self.seconds += time.monotonic() - self._busy_since
