"""Pictures at URLs: a real FTP server on the loopback device, and fsspec's memory."""

import os
import shutil
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from drawn_containers import drawn, write_dataset, write_tar
from fsspec.implementations.memory import MemoryFileSystem
from loopback_ftp import LoopbackFtp, serve_ftp

from indexer.errors import SourceError
from indexer.report import Counts
from indexer.sources.named import Named, resolve_source
from indexer.sources.walk import names_below, walk
from storage.files import list_roots, locations_of
from storage.library import Library
from storage.pictures import count_by_collection, list_images
from storage.sources.containers import location_is_gone, read_bytes
from storage.sources.originals import readable_original
from storage.sources.places import is_folder, ordinary_file, shown
from storage.sources.remote import url_of


@pytest.fixture
def ftp(pictures: Path, tmp_path: Path):
    """The six pictures, a tar of two and a Parquet file of three."""
    members = {"a.png": drawn(tmp_path, 21), "a.txt": b"a caption", "b.png": drawn(tmp_path, 22)}
    write_tar(pictures / "s.tar", members)
    rows = [drawn(tmp_path, number, "jpg") for number in (23, 24, 25)]
    write_dataset(pictures / "t.parquet", rows)
    with serve_ftp(tmp_path) as server:
        yield server


def paths(library: Library) -> list[str]:
    return sorted(
        location.path
        for image in list_images(library.engine)
        for _, location in locations_of(library.engine, image.id)
    )


def test_a_folder_at_a_url_is_indexed_and_unchanged_files_are_not_fetched_again(
    index, ftp: LoopbackFtp, pictures: Path, library: Library
) -> None:
    url = f"{ftp.url}/pictures"
    assert index(url).counts == Counts(seen=11, new=11, embedded=11)
    assert len(paths(library)) == 11
    assert {"sky/white cloud.png", "s.tar/b.png", "t.parquet/1.jpg"} < set(paths(library))
    (root,) = list_roots(library.engine)
    assert shown(root.path) == url
    assert count_by_collection(library.engine) == {"pictures": 11}
    ftp.fetched.clear()
    assert index(url).counts == Counts(seen=11, unchanged=11)
    assert ftp.fetched == []
    (pictures / "red.png").rename(pictures / "sky" / "red.png")
    os.utime(pictures / "s.tar", (5, 5))
    assert index(f"{url}/").counts == Counts(seen=11, moved=1, unchanged=10)
    assert index(f"{url}/sky").counts == Counts(seen=3, unchanged=3)
    assert index(f"{url}/s.tar", f"{url}/sky/red.png").counts == Counts(seen=3, unchanged=3)


def test_a_remote_that_is_unplugged_empties_nothing(
    index, ftp: LoopbackFtp, pictures: Path, library: Library
) -> None:
    url = f"{ftp.url}/pictures"
    index(url)
    ftp.unplugged = True
    with pytest.raises(SourceError, match="nothing there"):
        index(url, prune=True)
    (root,) = list_roots(library.engine)
    assert not location_is_gone(root.path, "red.png")
    assert not location_is_gone(root.path, "s.tar/a.png")
    assert len(paths(library)) == 11
    ftp.unplugged = False
    ftp.folder = ftp.folder / "elsewhere"
    (ftp.folder / "pictures").mkdir(parents=True)  # another disk in its place, an empty one
    assert not location_is_gone(root.path, "red.png")
    ftp.folder = ftp.folder.parent
    (pictures / "red.png").unlink()
    assert location_is_gone(root.path, "red.png")
    assert index(url, prune=True).counts.removed == 1
    assert len(paths(library)) == 10


def test_a_server_that_is_not_there_and_a_protocol_that_is_unknown_are_named(
    index, ftp: LoopbackFtp, library: Library
) -> None:
    with pytest.raises(SourceError, match=r"ftp://127\.0\.0\.1:9/x: .*check the address"):
        index("ftp://127.0.0.1:9/x")
    with pytest.raises(SourceError, match="check the address"):
        index("nosuch://bucket/photos")
    with pytest.raises(SourceError, match="password") as refused:
        index("ftp://ann:secret@127.0.0.1/photos")
    assert "secret" not in str(refused.value)
    with pytest.raises(SourceError, match="compressed archive"):
        index(f"{ftp.url}/x.tar.gz")
    assert list_roots(library.engine) == []


def test_originals_at_a_url_can_be_had(
    index, ftp: LoopbackFtp, pictures: Path, library: Library
) -> None:
    index(f"{ftp.url}/pictures")
    for image in list_images(library.engine):
        original = readable_original(library.engine, image.id)
        data = original.read(image.size_bytes)
        assert len(data) == image.size_bytes
        if ".tar" not in image.path and ".parquet" not in image.path:
            assert data == (pictures / image.path).read_bytes()


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_an_object_store_is_walked_like_a_folder(memory, tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", {"b.png": b"bee", "deep/a.png": b"a"}).read_bytes()
    for name in ("z.png", "a/x.png", "a-b.png", ".hidden/y.png"):
        memory.pipe(f"/photos/2024/{name}", name.encode())
    memory.pipe("/photos/2024/x.tar", tar)
    root = resolve_source("memory://photos/2024")
    assert url_of(root) == "memory://photos/2024"
    found = list(names_below(Named(root), (".*",)))
    assert found == ["a-b.png", "a/x.png", "x.tar/b.png", "x.tar/deep/a.png", "z.png"]
    assert read_bytes(root, "x.tar/deep/a.png", 99) == b"a"
    assert read_bytes(root, "a/x.png", 99) == b"a/x.png"
    assert ordinary_file(root / "a") is None
    assert ordinary_file(root / "z.png").size_bytes == 5
    assert not is_folder(root / "nowhere")


def test_a_path_on_the_disk_is_never_taken_for_a_url(tmp_path: Path) -> None:
    odd = tmp_path / "s3:" / "bucket"
    odd.mkdir(parents=True)
    shutil.copy(__file__, odd / "a.png")
    assert url_of(odd) is None
    assert list(names_below(Named(tmp_path), ())) == ["s3:/bucket/a.png"]
    assert resolve_source(f"file://{odd}") == odd


def test_a_list_may_name_urls(index, ftp: LoopbackFtp, pictures: Path, library: Library) -> None:
    listed = [f"{ftp.url}/pictures/red.png", f"{ftp.url}/pictures/s.tar", str(pictures / "sky")]
    assert index(listed=listed).counts == Counts(seen=5, new=5, embedded=5)
    assert len({shown(root.path) for root in list_roots(library.engine)}) == 2


class CoarseFileSystem(MemoryFileSystem):
    """As many a web server: its listings tell no sizes, and it sends files as a whole only."""

    protocol = "coarse"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("coarse://").strip("/")

    def ls(self, path, detail=True, **options):
        found = super().ls(path, detail=True, **options)
        return [{"name": each["name"], "type": each["type"], "size": None} for each in found]

    def cat_file(self, path, start=None, end=None, **options):
        return super().cat_file(path, **options)


def test_a_server_without_sizes_and_parts_will_do(tmp_path: Path) -> None:
    fsspec.register_implementation("coarse", CoarseFileSystem, clobber=True)
    tar = write_tar(tmp_path / "x.tar", {"b.png": b"bee", "a.png": b"a"}).read_bytes()
    system = fsspec.filesystem("coarse")
    system.pipe("/host/x.tar", tar)
    system.pipe("/host/c.png", b"sea")
    root = resolve_source("coarse://host")
    found = {file.path: file for file in walk(Named(root).unregistered(), (), lambda _: None)}
    assert found["c.png"].size_bytes == 3
    assert found["x.tar/"].state == ordinary_file(root / "x.tar")
    assert read_bytes(root, "x.tar/b.png", 99) == b"bee"
    assert read_bytes(root, "x.tar/a.png", 99) == b"a"
