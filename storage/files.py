"""Roots and the files below them, as the scan compares them with the disk."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    delete,
    insert,
    literal,
    null,
    select,
    union_all,
    update,
)

from storage.catalog.schema import Collection, Embedding, Failure, Image, Location, Root
from storage.records import KnownFile, LocationRecord, RootRecord
from storage.words.word_rows import refresh_words

PAGE_ROWS = 2000


def list_roots(engine: Engine) -> list[RootRecord]:
    query = (
        select(Root.id, Root.path, Root.collection_id, Collection.name)
        .join(Collection, Collection.id == Root.collection_id)
        .order_by(Root.path)
    )
    with engine.connect() as connection:
        return [
            RootRecord(row.id, Path(row.path), row.collection_id, row.name)
            for row in connection.execute(query)
        ]


def readable_name(name: str) -> str:
    """A name for people to read and type: bytes that are no UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def collection_id(connection: Connection, name: str) -> int:
    """The collection's id; made when there is none of that name."""
    name = readable_name(name)
    found = connection.execute(select(Collection.id).where(Collection.name == name)).scalar()
    if found is not None:
        return int(found)
    made = connection.execute(insert(Collection).values(name=name).returning(Collection.id))
    return int(made.scalar_one())


def root_holding(roots: Iterable[RootRecord], folder: Path) -> RootRecord | None:
    """The root that is `folder` (absolute) or stands above it."""
    return next(
        (root for root in roots if folder == root.path or root.path in folder.parents), None
    )


def register_root(engine: Engine, folder: Path, collection: str | None) -> RootRecord:
    """The root that holds `folder` (absolute): a known one at or above it, else a new one.

    Known roots below a new one become part of it, so that a file has one location and not two.
    collection: what a new root's files belong to; the folder's own name by default.
    """
    roots = list_roots(engine)
    known = root_holding(roots, folder)
    if known is not None:
        return known
    name = readable_name(collection or folder.name or str(folder))
    with engine.begin() as connection:
        in_collection = collection_id(connection, name)
        root_id = int(
            connection.execute(
                insert(Root)
                .values(path=str(folder), collection_id=in_collection)
                .returning(Root.id)
            ).scalar_one()
        )
        for inner in roots:
            if folder in inner.path.parents:
                _fold_root(connection, inner, root_id, inner.path.relative_to(folder).as_posix())
    return RootRecord(root_id, folder, in_collection, name)


def _fold_root(connection: Connection, inner: RootRecord, into: int, prefix: str) -> None:
    moved = connection.execute(select(Location.image_id).where(Location.root_id == inner.id))
    image_ids = moved.scalars().all()
    for table in (Location, Failure):
        rows = connection.execute(select(table.id, table.path).where(table.root_id == inner.id))
        for row in rows.all():
            connection.execute(
                update(table)
                .where(table.id == row.id)
                .values(root_id=into, path=f"{prefix}/{row.path}")
            )
    # The folders between the two roots are now part of the files' names.
    refresh_words(connection, image_ids)
    connection.execute(delete(Root).where(Root.id == inner.id))


def known_files(
    engine: Engine, root_id: int, space_id: int, below: str = ""
) -> Iterator[KnownFile]:
    """The files of a root that the catalog knows, indexed or failed, in the order of their names'
    UTF-8 bytes. Read page by page: no transaction stays open while the caller works.

    below: only paths that begin with this ("" for all, else "folder/", or a whole file's path).
    """
    after: str | None = None
    while True:
        page = _known_page(engine, (root_id, space_id), below, after)
        yield from page
        if len(page) < PAGE_ROWS:
            return
        after = page[-1].path


def _known_page(
    engine: Engine, root_and_space: tuple[int, int], below: str, after: str | None
) -> list[KnownFile]:
    root_id, space_id = root_and_space
    located = (
        select(
            Location.path,
            Location.size_bytes,
            Location.mtime_ns,
            Location.id.label("location_id"),
            Location.image_id,
            Location.collection_id,
            Embedding.image_id.is_not(None).label("embedded"),
            null().label("failure_kind"),
            Location.sidecar_mtime_ns,
        )
        .join(
            Embedding,
            and_(Embedding.image_id == Location.image_id, Embedding.space_id == space_id),
            isouter=True,
        )
        .where(Location.root_id == root_id)
    )
    # A file can have both: indexed once, and out of reach when it was looked at again.
    same_file = select(Location.id).where(
        Location.root_id == Failure.root_id, Location.path == Failure.path
    )
    failed = select(
        Failure.path,
        Failure.size_bytes,
        Failure.mtime_ns,
        null().label("location_id"),
        null().label("image_id"),
        null().label("collection_id"),
        literal(False).label("embedded"),
        Failure.kind.label("failure_kind"),
        null().label("sidecar_mtime_ns"),
    ).where(Failure.root_id == root_id, ~same_file.exists())
    pages = []
    for query, table in ((located, Location), (failed, Failure)):
        if below:
            query = query.where(table.path >= below, table.path < below + "\U0010ffff")  # noqa: PLW2901
        if after is not None:
            query = query.where(table.path > after)  # noqa: PLW2901
        pages.append(query.order_by(table.path).limit(PAGE_ROWS).subquery().select())
    both = union_all(*pages).subquery()
    with engine.connect() as connection:
        rows = connection.execute(select(both).order_by(both.c.path).limit(PAGE_ROWS))
        return [
            KnownFile(
                row.path,
                row.size_bytes,
                row.mtime_ns,
                row.location_id,
                row.image_id,
                row.collection_id,
                bool(row.embedded),
                row.failure_kind,
                row.sidecar_mtime_ns,
            )
            for row in rows
        ]


def locations_of(engine: Engine, image_id: int) -> list[tuple[int, LocationRecord]]:
    """(location id, location) of every file that holds an image, the first known first."""
    query = (
        select(Location.id, Root.path.label("root"), Location.path, Collection.name)
        .join(Root, Root.id == Location.root_id)
        .join(Collection, Collection.id == Location.collection_id)
        .where(Location.image_id == image_id)
        .order_by(Location.id)
    )
    with engine.connect() as connection:
        return [
            (row.id, LocationRecord(Path(row.root), row.path, row.name))
            for row in connection.execute(query)
        ]


def every_location(engine: Engine) -> Iterator[tuple[int, str]]:
    """(image id, path) of every file that holds a picture that can be found."""
    query = (
        select(Location.image_id, Root.path.label("root"), Location.path)
        .join(Root, Root.id == Location.root_id)
        .join(Image, Image.id == Location.image_id)
        .where(Image.deleted_at.is_(None))
    )
    with engine.connect() as connection:
        for row in connection.execute(query).yield_per(PAGE_ROWS):
            yield row.image_id, f"{row.root}/{row.path}"
