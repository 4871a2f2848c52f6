"""Hashes of pictures that were indexed before there were any, from their thumbnails."""

from sqlalchemy import select, update

from imaging.perceptual import hash_of_thumbnail
from storage.catalog.schema import Counter, Image
from storage.library import Library
from storage.lock import writer_lock
from storage.thumbnails import STORED_SIDE

CHUNK = 500


def fill_missing_hashes(library: Library) -> int:
    """Hash the pictures that were indexed before there were hashes; how many got one.

    Taken from the thumbnail, which costs a thousandth of reading the picture again and is within a
    bit or two of its own. Those without a thumbnail stay as they are. Raises LibraryBusy.
    """
    filled, after = 0, 0
    unhashed = select(Image.id, Image.sha256).where(
        Image.deleted_at.is_(None), Image.perceptual_hash.is_(None)
    )
    with writer_lock(library.data_dir, "duplicates"):
        while True:
            page = unhashed.where(Image.id > after).order_by(Image.id).limit(CHUNK)
            with library.engine.connect() as connection:
                rows = connection.execute(page).all()
            if not rows:
                return filled
            after = rows[-1].id
            hashes = {row.id: _hash(library, row.sha256) for row in rows}
            with library.engine.begin() as connection:
                for image_id, found in hashes.items():
                    if found is not None:
                        this = update(Image).where(Image.id == image_id)
                        connection.execute(this.values(perceptual_hash=found))
                        filled += 1
                commits = update(Counter).where(Counter.name == "commit")
                connection.execute(commits.values(value=Counter.value + 1))


def _hash(library: Library, sha256: bytes) -> int | None:
    webp = library.thumbnails.get(sha256, STORED_SIDE)
    return None if webp is None else hash_of_thumbnail(webp)
