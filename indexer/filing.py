"""Files that an indexing job has read → what it commits of them, counted."""

from indexer.committing import Committer
from indexer.reading import ReadPicture
from indexer.report import Counts
from storage.files import locations_of
from storage.library import Library
from storage.records import FailedFile, IndexedFile, KnownFile
from storage.sources.containers import location_is_gone


class Filing:
    """Decides what a file is to the library: new, changed, moved from elsewhere, or as it was."""

    def __init__(self, library: Library, committer: Committer, counts: Counts) -> None:
        self._library = library
        self._committer = committer
        self._counts = counts
        self.claimed: set[int] = set()
        """Locations that a moved file has taken over in this job."""

    def take(self, read: ReadPicture, known: KnownFile | None, new_collection: int) -> None:
        counts = self._counts
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
        batch = self._committer.batch
        if read.image is not None:
            batch.images[read.sha256] = read.image
        kept = None if known is None else known.collection_id
        into = new_collection if kept is None else kept
        batch.files.append(IndexedFile(read.stat, into, read.sha256, moved_from, texts=read.texts))
        if read.pixels is not None:
            self._committer.embed(read.sha256, read.pixels)

    def take_failure(self, failed: FailedFile) -> None:
        self._counts.failed += 1
        self._committer.batch.failures.append(failed)

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
