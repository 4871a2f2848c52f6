"""The files of pictures over HTTP, those in tars and Parquet files too."""

from pathlib import Path

import pytest
from drawn_containers import drawn, write_dataset, write_tar
from flask.testing import FlaskClient

from storage.library import Library
from storage.pictures import list_images
from webui.app import create_app
from webui.config import WebConfig


@pytest.fixture
def held(index, engine, tmp_path: Path):
    """Bytes by path, and a client of a library that holds them."""
    folder = tmp_path / "held"
    tarred, row = drawn(tmp_path, 21, "jpg"), drawn(tmp_path, 22, "jpg")
    write_tar(folder / "a.tar", {"in/tarred.jpg": tarred})
    write_dataset(folder / "b.parquet", [row])
    index(folder)
    client = create_app(engine, WebConfig()).test_client()
    return {"a.tar/in/tarred.jpg": tarred, "b.parquet/0.jpg": row}, client


def id_of(library: Library, path: str) -> int:
    return next(image.id for image in list_images(library.engine) if image.path == path)


def test_members_of_containers_are_sent_as_files(held, library: Library) -> None:
    pictures, client = held
    for path, data in pictures.items():
        url = f"/api/v1/images/{id_of(library, path)}"
        sent = client.get(f"{url}/file")
        assert (sent.status_code, sent.mimetype, sent.data) == (200, "image/jpeg", data)
        name = path.rpartition("/")[2]
        assert sent.headers["Content-Disposition"] == f"inline; filename={name}"
        part = client.get(f"{url}/file", headers={"Range": "bytes=2-5"})
        assert (part.status_code, part.data) == (206, data[2:6])
        assert client.get(f"{url}/thumbnail?size=1024").status_code == 200


def test_a_container_outside_its_root_is_not_served(
    index, client: FlaskClient, library: Library, pictures: Path, tmp_path: Path
) -> None:
    outside = write_tar(tmp_path / "elsewhere.tar", {"x.png": drawn(tmp_path, 23)})
    (pictures / "linked.tar").symlink_to(outside)
    index(pictures)
    image = id_of(library, "linked.tar/x.png")
    assert client.get(f"/api/v1/images/{image}/file").status_code == 404
    (pictures / "linked.tar").unlink()
    outside.rename(pictures / "linked.tar")
    assert client.get(f"/api/v1/images/{image}/file").status_code == 200


def test_a_member_that_is_there_no_more_is_out_of_reach(held, library: Library, tmp_path) -> None:
    pictures, client = held
    image = id_of(library, "a.tar/in/tarred.jpg")
    path = tmp_path / "held" / "a.tar"
    write_tar(path, {"in/tarred.jpg": b"something larger than it was " * 99})
    assert client.get(f"/api/v1/images/{image}/file").status_code == 404
    write_tar(path, {"in/other.jpg": pictures["a.tar/in/tarred.jpg"]})
    assert client.get(f"/api/v1/images/{image}/file").status_code == 404
    path.unlink()
    assert client.get(f"/api/v1/images/{image}/file").status_code == 404
    assert client.get(f"/api/v1/images/{image}/thumbnail?size=1024").status_code == 200
