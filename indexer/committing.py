"""What was read → embedded in batches, committed in larger ones, both beside the reading."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from types import TracebackType

from encoders import Embeddings, Encoder, Preprocessed
from indexer.config import IndexConfig, usable_cores
from indexer.embedding import BatchEmbedder
from indexer.report import Counts
from storage.library import Library
from storage.records import Batch
from storage.writer import LibraryWriter

ProgressListener = Callable[[Counts], None]


@dataclass(frozen=True)
class RunningJob:
    """A job that holds the write lock."""

    library: Library
    writer: LibraryWriter
    id: int


@dataclass
class _Pending:
    """What waits for the commit, and what of it is on its way through the encoder."""

    batch: Batch = field(default_factory=Batch)
    being_embedded: list[tuple[list[bytes], Future[Embeddings]]] = field(default_factory=list)
    to_embed: dict[bytes, Preprocessed] = field(default_factory=dict)
    known: set[bytes] = field(default_factory=set)
    """What of it was given to be embedded."""
    since: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        return max(len(self.batch.files) + len(self.batch.failures), len(self.known))

    def whole_batch(self) -> Batch:
        """Waits for its embeddings. Raises what the encoder raised."""
        for sha256s, future in self.being_embedded:
            self.batch.embeddings.update(zip(sha256s, future.result(), strict=True))
        return self.batch


class Committer:
    """One job's way into the library, for the thread that runs the job.

    The encoder and the commits have threads of their own. Batches are committed in the order in
    which they were filled, one at a time; while one is being committed the next is filled. An
    error of either is raised by a later call, `flush` at the latest.
    """

    def __init__(
        self, job: RunningJob, encoder: Encoder, config: IndexConfig, counts: Counts
    ) -> None:
        self.job = job
        self._config = config
        self._counts = counts
        # Enough for every core to have a picture, while another batch waits.
        self._embedder = BatchEmbedder(encoder, 2 + usable_cores() // config.batch_size)
        self._thread = ThreadPoolExecutor(1, "commit")
        self._pending = _Pending()
        self._committing: Future[None] | None = None
        self._in_commit: set[bytes] = set()
        # Copies of one picture can be read side by side, before the catalog knows of the first.
        self._lately: deque[bytes] = deque(maxlen=4 * (config.batch_size + config.workers))

    @property
    def batch(self) -> Batch:
        """To be filled with what the next commit shall hold, all but the embeddings."""
        return self._pending.batch

    @property
    def encoder_seconds(self) -> float:
        return self._embedder.seconds

    def embed(self, sha256: bytes, pixels: Preprocessed) -> None:
        """For the next commit; nothing is done for a picture that has just been embedded."""
        pending = self._pending
        if sha256 in pending.known or sha256 in self._in_commit or sha256 in self._lately:
            return
        pending.known.add(sha256)
        self._lately.append(sha256)
        pending.to_embed[sha256] = pixels
        if len(pending.to_embed) >= self._config.batch_size:
            self._send()

    def commit_when_due(self) -> bool:
        """Whether a commit has ended since this was asked last."""
        ended = self._committing is not None and self._committing.done()
        if ended:
            self._await_commit()
        waited = time.monotonic() - self._pending.since
        if (
            self._pending.size >= self._config.commit_images
            or waited >= self._config.commit_seconds
        ):
            ended = self._await_commit() or ended
            self._begin_commit()
        return ended

    def flush(self) -> bool:
        """Returns when all is committed: whether a commit that was due has ended meanwhile."""
        ended = self._await_commit()
        self._begin_commit()
        self._await_commit()
        return ended

    def __enter__(self) -> "Committer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Without `flush` what is pending is dropped; a commit under way is seen through."""
        if self._committing is not None:
            wait([self._committing])
        self._embedder.close()
        self._thread.shutdown()

    def _send(self) -> None:
        pending = self._pending
        if pending.to_embed:
            future = self._embedder.embed(list(pending.to_embed.values()))
            pending.being_embedded.append((list(pending.to_embed), future))
            self._counts.embedded += len(pending.to_embed)
            pending.to_embed = {}

    def _begin_commit(self) -> None:
        self._send()
        pending, self._pending = self._pending, _Pending()
        if pending.batch or pending.known:
            self._in_commit = pending.known
            # Of this moment: what is read meanwhile belongs to the next commit.
            counts = asdict(self._counts)
            self._committing = self._thread.submit(self._commit, pending, counts)

    def _commit(self, pending: _Pending, counts: dict[str, int]) -> None:
        job = self.job
        job.writer.commit(pending.whole_batch(), job.id, counts)
        job.library.fold(job.writer)

    def _await_commit(self) -> bool:
        """Whether there was one."""
        committing, self._committing = self._committing, None
        if committing is None:
            return False
        committing.result()
        self._in_commit = set()
        return True
