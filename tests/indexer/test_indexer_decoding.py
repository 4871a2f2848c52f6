"""Decode workers that crash, hang or are taken away: one file is lost to each, and no other."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorEncoder, ColorPreprocessor
from drawn_pictures import draw_picture
from faulty_preprocessors import FAULTS, FaultyEncoder
from PIL import Image
from sqlalchemy import select

from encoders import Preprocessor
from encoders.siglip.pictures import FixedSize, NativeAspect, Normalisation
from encoders.starter.network import CentreCrop
from imaging import DecodeLimits
from indexer.config import IndexConfig
from indexer.decoding.messages import DecodeSetup, FileRead, FileToRead
from indexer.decoding.pool import DecodePool
from indexer.errors import DecodersUnavailable
from indexer.job import IndexJob
from indexer.report import IndexRequest, JobReport
from storage.catalog.schema import Image as ImageRow
from storage.catalog.schema import Location
from storage.jobs import get_job, list_failures
from storage.library import Library
from storage.records import FileStat

ROOT = Path(__file__).parents[2]


def run_job(library: Library, encoder: ColorEncoder, folder: Path, **config) -> JobReport:
    settings = IndexConfig(**{"workers": 2, "batch_size": 4, **config})
    return IndexJob(library, encoder, settings).run(IndexRequest([str(folder)]))


def indexed_paths(library: Library) -> list[str]:
    query = select(Location.path).join(ImageRow, ImageRow.id == Location.image_id)
    with library.engine.connect() as connection:
        return sorted(connection.execute(query.where(ImageRow.deleted_at.is_(None))).scalars())


def a_pool(library: Library, size: int = 1, preprocessor: Preprocessor | None = None) -> DecodePool:
    preprocessor = preprocessor or ColorPreprocessor()
    return DecodePool(DecodeSetup(DecodeLimits(), preprocessor, library.thumbnails, 60), size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty harmless pictures and a red one in their midst."""
    for mark in range(30):
        draw_picture(tmp_path / "pictures" / f"{mark:02d}.png", (0, 8 * mark, 200), mark)
    draw_picture(tmp_path / "pictures" / "15 red.png", (255, 0, 0))
    return tmp_path / "pictures"


EXPECTED = {
    "abort": ("decoder_crashed", "SIGABRT"),
    "segfault": ("decoder_crashed", "SIGSEGV"),
    "killed": ("decoder_crashed", "memory ran out"),
    "exit": ("decoder_crashed", "exit status 3"),
    "hang": ("too_slow", "longer to decode than 0.5 s"),
    "exception": ("decoder_failed", "RuntimeError: no such luck"),
    "memory": ("out_of_memory", "more memory"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_decoder_that_fails_takes_one_file_with_it_and_no_other(
    library: Library, folder: Path, fault: str
) -> None:
    seconds = 0.5 if fault == "hang" else 60
    report = run_job(library, FaultyEncoder(fault), folder, decode_seconds=seconds)
    assert (report.status, report.counts.failed, report.counts.embedded) == ("done", 1, 30)
    [failure] = list_failures(library.engine, report.job)
    kind, words = EXPECTED[fault]
    assert (failure.path, failure.kind) == ("15 red.png", kind)
    assert words in failure.reason
    assert indexed_paths(library) == [f"{mark:02d}.png" for mark in range(30)]
    again = run_job(library, FaultyEncoder(fault), folder, decode_seconds=seconds)
    assert (again.counts.unchanged, again.counts.failed, again.counts.embedded) == (30, 1, 0)


def test_files_that_all_crash_their_decoder_all_end_as_failures(
    library: Library, tmp_path: Path
) -> None:
    for mark in range(6):
        draw_picture(tmp_path / "red" / f"{mark}.png", (255, 0, 0), mark)
    report = run_job(library, FaultyEncoder("abort"), tmp_path / "red")
    assert (report.counts.seen, report.counts.failed) == (6, 6)


def test_a_picture_stays_where_it_is_when_only_its_decoder_gives_up(
    library: Library, folder: Path
) -> None:
    run_job(library, ColorEncoder(), folder)
    with library.engine.begin() as connection:  # its embedding is let go: it is decoded again
        connection.exec_driver_sql("DELETE FROM embedding")
    report = run_job(library, FaultyEncoder("abort"), folder)
    assert (report.counts.failed, report.counts.embedded) == (1, 30)
    assert "15 red.png" in indexed_paths(library)
    draw_picture(folder / "00.png", (255, 0, 0), 3)
    run_job(library, FaultyEncoder("abort"), folder)
    assert "00.png" not in indexed_paths(library)  # it holds another picture now, if any


def test_an_idle_worker_that_was_killed_is_replaced_unseen(library: Library, folder: Path) -> None:
    with a_pool(library) as pool, pool.worker() as worker:
        pid = worker.pid
    os.kill(pid, signal.SIGKILL)
    report = run_job(library, ColorEncoder(), folder)
    assert (report.counts.embedded, report.counts.failed) == (31, 0)


def test_a_worker_waits_for_the_next_job(library: Library) -> None:
    with a_pool(library) as first, first.worker() as worker:
        pid = worker.pid
    with a_pool(library) as second, second.worker() as worker:
        assert worker.pid == pid


def test_few_files_start_few_workers(library: Library) -> None:
    pids = set()
    with a_pool(library, size=8) as pool:
        for files in range(1, 4):
            pool.expect(files)
            with pool.worker() as worker:
                pids.add(worker.pid)
    assert len(pids) == 1


TO_BYTES = Normalisation((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
PREPROCESSORS = {
    "siglip": FixedSize((224, 224), None, Image.Resampling.BILINEAR, TO_BYTES),
    "naflex": NativeAspect(16, 256, Image.Resampling.BILINEAR, TO_BYTES),
    "starter": CentreCrop(),
}


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_workers_preprocess_as_the_encoder_does_without_torch_or_a_catalog(
    library: Library, tmp_path: Path, name: str
) -> None:
    preprocessor = PREPROCESSORS[name]
    path = draw_picture(tmp_path / "a.png", (9, 99, 200), 5)
    with a_pool(library, preprocessor=preprocessor) as pool, pool.worker() as worker:
        wanted = FileToRead(tmp_path, FileStat(1, path.name, 0, 0))
        assert isinstance(worker.ask(wanted, time.monotonic() + 20), FileRead)
        pixels = worker.ask(True, time.monotonic() + 20).pixels
        mapped = Path(f"/proc/{worker.pid}/maps")
        if mapped.exists():
            for heavy in ("libtorch", "_sqlite3", "faiss", "libarrow"):
                assert heavy not in mapped.read_text()
    with Image.open(path) as image:
        expected = preprocessor.preprocess(image.convert("RGB"))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, expected)


def test_workers_pay_no_heed_to_ctrl_c_nor_to_sigterm(library: Library, folder: Path) -> None:
    with a_pool(library) as pool, pool.worker() as worker:
        pid = worker.pid
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        wanted = FileToRead(folder, FileStat(1, "00.png", 0, 0))
        assert isinstance(worker.ask(wanted, time.monotonic() + 20), FileRead)
        worker.tell(False)
        assert os.getpgid(pid) != os.getpgid(0)


class Unreachable(ColorEncoder):
    @property
    def preprocessor(self):
        return LocalPreprocessor()


class LocalPreprocessor:
    """Can be pickled, and not be found again where it is unpickled."""

    min_decode_side = 64

    def __reduce__(self):
        return importlib.import_module, ("no_such_thing",)


def test_a_preprocessor_that_a_worker_cannot_load_ends_the_job_with_its_reason(
    library: Library, folder: Path
) -> None:
    with pytest.raises(DecodersUnavailable, match="no_such_thing"):
        run_job(library, Unreachable(), folder)
    assert get_job(library.engine, 1).status == "failed"


HOLDER = """
import os, sys, time
from color_encoder import ColorEncoder, ColorPreprocessor
from faulty_preprocessors import FaultyEncoder
from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from storage.library import Library
library = Library.open(__import__("pathlib").Path(sys.argv[1]), create=True)
config = IndexConfig(workers=1, decode_seconds=1.0)
import threading
def tell():
    from imaging.workers import nursery
    while not nursery.pids():
        time.sleep(0.01)
    [pid] = nursery.pids()
    time.sleep(0.5)
    print(pid, flush=True)
threading.Thread(target=tell, daemon=True).start()
IndexJob(library, FaultyEncoder("hang"), config).run(IndexRequest([sys.argv[2]]))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX alarms")
def test_workers_end_with_a_job_that_was_killed_even_in_the_midst_of_a_file(
    tmp_path: Path,
) -> None:
    draw_picture(tmp_path / "pictures" / "red.png", (255, 0, 0))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]),
    }
    job = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "library", tmp_path / "pictures"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(job.stdout.readline())
    job.kill()
    job.communicate(timeout=20)
    deadline = time.monotonic() + 20
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    # An orphan may wait for a while until somebody hears of its end.
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
