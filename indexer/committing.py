"""Pictures that were read → embedded in batches, committed in larger ones."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from encoders import Encoder, Preprocessed
from indexer.config import IndexConfig
from indexer.reading import ReadPicture
from indexer.report import Counts
from storage.files import locations_of
from storage.library import Library
from storage.records import Batch, FailedFile, IndexedFile, KnownFile
from storage.sources.containers import location_is_gone
from storage.writer import LibraryWriter

ProgressListener = Callable[[Counts], None]


@dataclass
class _Pending:
    """What waits for the encoder, and what waits for the commit."""

    batch: Batch = field(default_factory=Batch)
    to_embed: dict[bytes, Preprocessed] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    @property
    def files(self) -> int:
        return len(self.batch.files) + len(self.batch.failures)


class Committer:
    """One job's way into the library. Counts what it takes."""

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        config: IndexConfig,
        counts: Counts,
        listener: ProgressListener,
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._config = config
        self._counts = counts
        self._listener = listener
        self._pending = _Pending()
        # Copies of one picture can be read side by side, before the catalog knows of the first.
        self._embedded_lately: deque[bytes] = deque(maxlen=4 * (config.batch_size + config.workers))
        self.claimed: set[int] = set()
        """Locations that a moved file has taken over in this job."""
        self.encoder_seconds = 0.0

    def take(self, read: ReadPicture, known: KnownFile | None, new_collection: int) -> None:
        pending, counts = self._pending, self._counts
        moved_from = None
        if known is None or known.location_id is None:
            moved_from = self._moved_from(read)
            if moved_from is None:
                counts.new += 1
            else:
                counts.moved += 1
        elif read.image_id is not None and read.image_id == known.image_id:
            counts.unchanged += 1  # merely touched, its sidecar changed, or its embedding missing
        else:
            counts.changed += 1
        if read.image is not None:
            pending.batch.images[read.sha256] = read.image
        if read.pixels is not None and read.sha256 not in self._embedded_lately:
            pending.to_embed[read.sha256] = read.pixels
        kept = None if known is None else known.collection_id
        into = new_collection if kept is None else kept
        pending.batch.files.append(
            IndexedFile(read.stat, into, read.sha256, moved_from, texts=read.texts)
        )
        if len(pending.to_embed) >= self._config.batch_size:
            self._embed()
        self._listener(counts)

    def take_failure(self, failed: FailedFile) -> None:
        self._counts.failed += 1
        self._pending.batch.failures.append(failed)

    def commit_when_due(self, writer: LibraryWriter, job_id: int) -> bool:
        """Whether it was."""
        waited = time.monotonic() - self._pending.since
        if (
            self._pending.files < self._config.commit_images
            and waited < self._config.commit_seconds
        ):
            return False
        self.flush(writer, job_id)
        self._library.fold(writer)
        return True

    def flush(self, writer: LibraryWriter, job_id: int) -> None:
        self._embed()
        if self._pending.batch:
            writer.commit(self._pending.batch, job_id, asdict(self._counts))
        self._pending = _Pending()
        self._listener(self._counts)

    def _moved_from(self, read: ReadPicture) -> int | None:
        """The location that this file had, if its content was known at a place that is now empty
        (and not merely out of reach: the place's root is there)."""
        if read.image_id is None:
            return None
        for location_id, location in locations_of(self._library.engine, read.image_id):
            if location_id not in self.claimed and location_is_gone(location.root, location.path):
                self.claimed.add(location_id)
                return location_id
        return None

    def _embed(self) -> None:
        pending = self._pending
        if not pending.to_embed:
            return
        began = time.monotonic()
        embeddings = self._encoder.encode_preprocessed(list(pending.to_embed.values()))
        self.encoder_seconds += time.monotonic() - began
        pending.batch.embeddings.update(zip(pending.to_embed, embeddings, strict=True))
        self._counts.embedded += len(pending.to_embed)
        self._embedded_lately.extend(pending.to_embed)
        pending.to_embed.clear()
