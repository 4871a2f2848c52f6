"""A worker keeps the memory of its pictures from one to the next, and no more than that."""

import platform
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from encoders.siglip.pictures import FixedSize, Normalisation
from imaging import DecodeLimits
from imaging.workers import Worker
from indexer.decoding.messages import DecodeSetup, FileToRead, PictureDecoded
from indexer.decoding.pool import DecodePool
from storage.library import Library
from storage.records import FileStat

PREPROCESSOR = FixedSize(
    (224, 224), None, Image.Resampling.BILINEAR, Normalisation((1.0,) * 3, (0.0,) * 3)
)
MEBIBYTE = 1 << 20

on_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/proc/self/stat").exists(),
    reason="reads /proc; other C libraries have their own ways",
)


@pytest.fixture
def pool(library: Library):
    setup = DecodeSetup(DecodeLimits(), PREPROCESSOR, library.thumbnails, 60)
    with DecodePool(setup, 1) as opened:
        yield opened


def noise(path: Path, size: tuple[int, int], seed: int) -> Path:
    """Smooth, as noise in full takes long to decode."""
    small = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(small).resize(size, Image.Resampling.BILINEAR).save(path)
    return path


def decode(worker: Worker, path: Path) -> np.ndarray:
    deadline = time.monotonic() + 60
    worker.ask(FileToRead(path.parent, FileStat(1, path.name, 0, 0)), deadline)
    answer = worker.ask(True, deadline)
    assert isinstance(answer, PictureDecoded)
    return answer.pixels


def as_pillow_has_it(path: Path) -> np.ndarray:
    """12 MP are decoded at a quarter."""
    with Image.open(path) as picture:
        picture.draft("RGB", (448, 448))
        assert picture.size == (1000, 750)
        return np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR))


def page_faults(worker: Worker) -> int:
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[7])


def resident_bytes(worker: Worker) -> int:
    return int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1]) * 4096


def test_pictures_one_after_the_other_have_the_very_pixels_that_they_have_alone(
    pool: DecodePool, tmp_path: Path
) -> None:
    paths = [noise(tmp_path / f"{seed}.jpg", (4000, 3000), seed) for seed in range(3)]
    with pool.worker() as worker:
        found = [decode(worker, path) for path in (*paths, *paths)]
    expected = [as_pillow_has_it(path) for path in paths]
    assert np.array_equal(found, expected * 2)
    assert not np.array_equal(expected[0], expected[1])


@on_glibc
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_is_given_the_memory_of_the_one_before(
    pool: DecodePool, tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = noise(tmp_path / "a.jpg", (4000, 3000), 0)
    with Image.open(path) as picture:
        picture.save(tmp_path / "b.jpg", exif=exif)
    with pool.worker() as worker:
        for _ in range(4):
            before = page_faults(worker)
            decode(worker, tmp_path / "b.jpg")
        faults = page_faults(worker) - before
    assert faults * 4096 < 1000 * 750 * 4  # fewer than the picture alone would take


@on_glibc
def test_the_memory_of_a_huge_picture_is_given_back(pool: DecodePool, tmp_path: Path) -> None:
    small = noise(tmp_path / "small.jpg", (400, 300), 0)
    huge = tmp_path / "huge.png"
    Image.new("RGB", (6000, 6000), "teal").save(huge, compress_level=1)
    with pool.worker() as worker:
        decode(worker, small)
        before = resident_bytes(worker)
        decode(worker, huge)
        decode(worker, small)
        after = resident_bytes(worker)
    assert after - before < 64 * MEBIBYTE  # of 137
