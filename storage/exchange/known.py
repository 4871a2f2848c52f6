"""What the catalog knows of some files of a root."""

from sqlalchemy import Engine, and_, select

from storage.catalog.schema import Embedding, Location
from storage.records import KnownFile

SQL_CHUNK = 500


def known_at(engine: Engine, root_id: int, space_id: int, paths: list[str]) -> dict[str, KnownFile]:
    """By path; what the catalog has not is left out."""
    known: dict[str, KnownFile] = {}
    in_space = and_(Embedding.image_id == Location.image_id, Embedding.space_id == space_id)
    with engine.connect() as connection:
        for start in range(0, len(paths), SQL_CHUNK):
            rows = connection.execute(
                select(Location, Embedding.image_id.is_not(None).label("embedded"))
                .join(Embedding, in_space, isouter=True)
                .where(
                    Location.root_id == root_id,
                    Location.path.in_(paths[start : start + SQL_CHUNK]),
                )
            )
            for row in rows:
                known[row.path] = KnownFile(
                    path=row.path,
                    size_bytes=row.size_bytes,
                    mtime_ns=row.mtime_ns,
                    location_id=row.id,
                    image_id=row.image_id,
                    collection_id=row.collection_id,
                    embedded=bool(row.embedded),
                    failure_kind=None,
                )
    return known
