"""The processes that decode what users send: what they hold, and that they end."""

import base64
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from color_encoder import ColorPreprocessor
from faulty_preprocessors import FaultyPreprocessor
from PIL import Image

from encoders.siglip.pictures import FixedSize, NativeAspect, Normalisation
from encoders.starter.network import CentreCrop
from imaging import DecodeLimits, decode_image
from imaging.workers import WorkerLost, nursery
from search.config import SearchConfig
from search.errors import DecodersUnavailable, PictureRejected
from search.query.decode_task import DecodePictures, PictureSent
from search.query.decoding import PictureDecoder
from storage.library import Library

ROOT = Path(__file__).parents[2]
PROC = Path("/proc/self").exists()


def encoded(size: tuple[int, int], form: str) -> bytes:
    image = Image.effect_noise(size, 60).convert("RGB")
    image.paste((9, 99, 200), (0, 0, size[0] // 2, size[1]))
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def plain_png(color: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (9, 9), color).save(file, "PNG")
    return file.getvalue()


RED = plain_png((255, 0, 0))


@pytest.fixture
def decoder() -> PictureDecoder:
    return PictureDecoder(ColorPreprocessor(), SearchConfig())


TO_BYTES = Normalisation((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
PREPROCESSORS = {
    "siglip": FixedSize((224, 224), None, Image.Resampling.BILINEAR, TO_BYTES),
    "naflex": NativeAspect(16, 256, Image.Resampling.BILINEAR, TO_BYTES),
    "starter": CentreCrop(),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", PREPROCESSORS)
def test_a_picture_becomes_what_it_would_have_become_here(name: str, form: str) -> None:
    preprocessor = PREPROCESSORS[name]
    data = encoded((2100, 1300), form)
    here = decode_image(data, min_side=preprocessor.min_decode_side).image
    there = PictureDecoder(preprocessor, SearchConfig()).preprocess(data)
    assert there.dtype == np.uint8
    assert np.array_equal(there, preprocessor.preprocess(here))


def test_one_after_the_other_are_decoded_by_one_worker(decoder: PictureDecoder) -> None:
    decoder.preprocess(plain_png((0, 0, 255)))
    before = nursery.pids()
    for _ in range(5):
        decoder.preprocess(plain_png((0, 0, 255)))
    assert nursery.pids() == before


@pytest.mark.skipif(not PROC, reason="needs /proc")
def test_a_worker_holds_neither_torch_nor_a_server_and_goes_first_when_memory_runs_out() -> None:
    nursery.close()
    PictureDecoder(PREPROCESSORS["siglip"], SearchConfig()).preprocess(plain_png((0, 0, 255)))
    [pid] = nursery.pids()
    mapped = Path(f"/proc/{pid}/maps").read_text()
    for heavy in ("libtorch", "_sqlite3", "faiss", "libarrow", "pydantic_core"):
        assert heavy not in mapped
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"


def test_an_idle_worker_that_was_killed_is_replaced_unseen(decoder: PictureDecoder) -> None:
    decoder.preprocess(plain_png((0, 0, 255)))
    for pid in nursery.pids():
        os.kill(pid, signal.SIGKILL)
    assert decoder.preprocess(plain_png((0, 0, 255))).shape == (1024, 3)


@pytest.mark.skipif(not PROC, reason="needs /proc")
@pytest.mark.parametrize(("fault", "seconds"), [("segfault", 60.0), ("hang", 0.3)])
def test_nothing_of_a_lost_worker_is_left(fault: str, seconds: float) -> None:
    decoder = PictureDecoder(FaultyPreprocessor(fault), SearchConfig(decode_seconds=seconds))
    nursery.close()
    children, open_files = _children_of(os.getpid()), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(PictureRejected):
            decoder.preprocess(RED)
    assert nursery.pids() == set()
    assert _children_of(os.getpid()) <= children
    assert len(list(Path("/proc/self/fd").iterdir())) <= open_files


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX alarms")
def test_a_worker_that_hangs_and_that_nobody_stops_ends_itself() -> None:
    worker = nursery.take(pickle.dumps(DecodePictures(FaultyPreprocessor("hang"), 0.1)))
    with pytest.raises(WorkerLost) as lost:
        worker.ask(PictureSent(RED, DecodeLimits(), None), time.monotonic() + 30)
    nursery.end(worker)
    assert lost.value.how == "SIGALRM"


class LocalPreprocessor:
    """Can be pickled, and not be found again where it is unpickled."""

    min_decode_side = 64

    def __reduce__(self):
        return __import__, ("no_such_thing",)


def test_a_preprocessor_that_a_worker_cannot_load_is_named() -> None:
    decoder = PictureDecoder(LocalPreprocessor(), SearchConfig())
    with pytest.raises(DecodersUnavailable, match="no_such_thing"):
        decoder.preprocess(plain_png((0, 0, 255)))


SERVER = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as cli.main does
from cli.config import ServeConfig
from cli.serving import serve_forever
from color_encoder import ColorEncoder
from search.config import SearchConfig
from search.engine import SearchEngine
from storage.library import Library
engine = SearchEngine(Library.open(Path(sys.argv[1])), ColorEncoder(), SearchConfig())
serve_forever(engine, ServeConfig(port=0), lambda url: print(url, flush=True))
"""


@pytest.fixture
def server(library: Library, index, pictures: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The real server in a process of its own, which has been sent a picture."""
    index(pictures)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, library.data_dir],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    picture = base64.b64encode(plain_png((0, 0, 255))).decode()
    request = urllib.request.Request(
        f"{address}/api/v1/search",
        json.dumps({"image": {"base64": picture}}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["hits"][0]["path"] == "sky/blue.png"
    yield address, process
    process.kill()
    process.communicate(timeout=20)


@pytest.mark.skipif(not PROC, reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_server(
    server: tuple[str, subprocess.Popen], number: signal.Signals
) -> None:
    _, process = server
    workers = _children_of(process.pid)
    assert len(workers) == 1
    process.send_signal(number)
    process.wait(timeout=30)
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _children_of(parent: int) -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == parent:
            found.add(int(stat.parent.name))
    return found


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # an orphan may wait for a while until somebody hears of its end
