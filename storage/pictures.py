"""Reading pictures from the catalog: by id, by page, by filter."""

from collections.abc import Sequence
from datetime import date, timedelta
from math import cos, radians
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Engine,
    Row,
    Select,
    String,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from storage.catalog.schema import Collection, Embedding, Image, Location
from storage.records import ImageRecord, PictureFilter

ID_CHUNK = 500
KM_PER_DEGREE = 111.195
"""Along a meridian, on a sphere of 6,371 km."""


def get_images(engine: Engine, image_ids: Sequence[int]) -> dict[int, ImageRecord]:
    """The images among `image_ids` that exist and are not deleted."""
    records: dict[int, ImageRecord] = {}
    with engine.connect() as connection:
        for start in range(0, len(image_ids), ID_CHUNK):
            chunk = [int(image_id) for image_id in image_ids[start : start + ID_CHUNK]]
            for row in connection.execute(_SHOWN_OF, {"image_ids": chunk}):
                records[row.id] = _record(row)
    return records


def taken_at_of(engine: Engine, image_ids: Sequence[int]) -> dict[int, str | None]:
    """When the images were taken, as ISO 8601 wall-clock time or date."""
    taken: dict[int, str | None] = {}
    with engine.connect() as connection:
        for start in range(0, len(image_ids), ID_CHUNK):
            chunk = [int(image_id) for image_id in image_ids[start : start + ID_CHUNK]]
            query = select(Image.id, Image.taken_at).where(Image.id.in_(chunk))
            taken.update({row.id: row.taken_at for row in connection.execute(query)})
    return taken


def list_images(
    engine: Engine, *, after_id: int = 0, limit: int = 100, chosen: PictureFilter | None = None
) -> list[ImageRecord]:
    """A page of images in the order of their ids."""
    query = _shown().where(Image.id > after_id).order_by(Image.id).limit(limit)
    if chosen is not None and not chosen.is_empty:
        query = query.where(Image.id.in_(pictures_matching(chosen)))
    with engine.connect() as connection:
        return [_record(row) for row in connection.execute(query)]


def filter_ids(engine: Engine, chosen: PictureFilter) -> NDArray[np.int64]:
    """Ids of the images that a filter lets through, ascending."""
    # As one text: there may be a million, and an object each takes four times as long.
    ids = pictures_matching(chosen).subquery().c.id
    with engine.connect() as connection:
        text = connection.execute(select(func.aggregate_strings(cast(ids, String), ","))).scalar()
    found = np.fromstring(text or "", dtype=np.int64, sep=",")
    return found if bool((found[1:] > found[:-1]).all()) else np.sort(found)


_BY_CONTENT = (
    select(Image.id, Embedding.image_id.is_not(None))
    .join(
        Embedding,
        and_(Embedding.image_id == Image.id, Embedding.space_id == bindparam("space_id")),
        isouter=True,
    )
    .where(Image.sha256 == bindparam("sha256"))
)
"""Asked for every file that is indexed: putting the statement together takes longer than it."""


def find_image(engine: Engine, sha256: bytes, space_id: int) -> tuple[int, bool] | None:
    """(image id, whether the space has its embedding) of a picture known by its content."""
    with engine.connect() as connection:
        values = {"sha256": sha256, "space_id": space_id}
        row = connection.execute(_BY_CONTENT, values).first()
    return None if row is None else (int(row[0]), bool(row[1]))


def count_images(engine: Engine) -> int:
    """Images that some file holds."""
    query = select(func.count()).select_from(Image).where(Image.deleted_at.is_(None))
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def count_by_collection(engine: Engine) -> dict[str, int]:
    """Images in each collection, by name."""
    query = (
        select(Collection.name, func.count(Location.image_id.distinct()))
        .join(Location, Location.collection_id == Collection.id)
        .group_by(Collection.name)
        .order_by(Collection.name)
    )
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def _shown() -> Any:
    """Images with the file that each is shown by: the one known longest."""
    files = aliased(Location)
    first = (
        select(func.min(files.id))
        .where(files.image_id == Image.id)
        .correlate(Image)
        .scalar_subquery()
    )
    return (
        select(Image, Location.path, Collection.name.label("collection"))
        .select_from(Image)
        .join(Location, Location.id == first)
        .join(Collection, Collection.id == Location.collection_id)
        .where(Image.deleted_at.is_(None))
    )


_SHOWN_OF = _shown().where(Image.id.in_(bindparam("image_ids", expanding=True)))
"""Asked for every page of hits: putting the statement together takes longer than it."""


def _record(row: Row[Any]) -> ImageRecord:
    facts = dict(row._mapping)
    offset = facts.pop("taken_offset_minutes")
    facts.pop("deleted_at")
    facts.pop("perceptual_hash")
    if facts["taken_at"] is not None and offset is not None:
        sign = "-" if offset < 0 else "+"
        facts["taken_at"] += f"{sign}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    return ImageRecord(**facts)


def pictures_matching(chosen: PictureFilter) -> Select[Any]:
    query = select(Image.id).where(Image.deleted_at.is_(None), *_image_conditions(chosen))
    where_it_lies = _location_conditions(chosen)
    if where_it_lies:
        held = select(Location.image_id).join(Collection, Collection.id == Location.collection_id)
        query = query.where(Image.id.in_(held.where(*where_it_lies)))
    return query


def _location_conditions(chosen: PictureFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.collections:
        conditions.append(Collection.name.in_(chosen.collections))
    if chosen.path_glob is not None:
        conditions.append(Location.path.like(_glob_to_like(chosen.path_glob), escape="\\"))
    return conditions


def _glob_to_like(glob: str) -> str:
    """`*` and `?` as in a shell, but `*` crosses folders: "2024/*" is all that lies below."""
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _image_conditions(chosen: PictureFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.taken_after:
        conditions.append(Image.taken_at >= chosen.taken_after)
    if chosen.taken_before:
        conditions.append(Image.taken_at < _exclusive_end(chosen.taken_before))
    if chosen.camera:
        wanted = _glob_to_like(chosen.camera.replace("*", ""))
        conditions.append(func.lower(Image.camera).like(f"%{wanted.lower()}%", escape="\\"))
    if chosen.orientation:
        conditions.append(
            {
                "landscape": Image.width > Image.height,
                "portrait": Image.width < Image.height,
                "square": Image.width == Image.height,
            }[chosen.orientation]
        )
    if chosen.min_width:
        conditions.append(Image.width >= chosen.min_width)
    if chosen.min_height:
        conditions.append(Image.height >= chosen.min_height)
    if chosen.formats:
        conditions.append(Image.format.in_([name.lower() for name in chosen.formats]))
    if chosen.near:
        conditions.append(_near(*chosen.near))
    return conditions


def _exclusive_end(taken_before: str) -> str:
    """A bare date names its whole day: the end is the next day's beginning."""
    try:
        return (date.fromisoformat(taken_before) + timedelta(days=1)).isoformat()
    except ValueError:
        return taken_before


def _near(latitude: float, longitude: float, km: float) -> ColumnElement[bool]:
    """Within `km` by the flat-earth distance, which is off by < 1 % up to some 500 km."""
    shrink = max(cos(radians(latitude)), 1e-6)
    north = (Image.latitude - latitude) * KM_PER_DEGREE
    # The short way around: a point at 179° east is near one at 179° west.
    around = [longitude + turn for turn in (-360, 0, 360)]
    return or_(
        *(
            north * north
            + ((Image.longitude - east) * (KM_PER_DEGREE * shrink))
            * ((Image.longitude - east) * (KM_PER_DEGREE * shrink))
            <= km * km
            for east in around
        )
    )
