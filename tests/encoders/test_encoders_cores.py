"""Forward passes side by side are those of one after the other."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import EncoderConfig, Preprocessed, load_encoder
from encoders.cores import Cores
from encoders.siglip import DualEncoder
from encoders.siglip.int8 import can_run_int8

TEXTS = ["a cat on the table", "con mèo", "雪の中の犬", "красный дом"]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads torch has."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def pictures_for(encoder: DualEncoder, count: int) -> list[Preprocessed]:
    rng = np.random.default_rng(0)
    sizes = rng.integers(30, 90, (count, 2)).tolist()
    return [
        encoder.preprocess(
            Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(tuple(size))
        )
        for size in sizes
    ]


def loaded(folder: Path) -> DualEncoder:
    encoder = load_encoder(str(folder), EncoderConfig())
    assert isinstance(encoder, DualEncoder)
    return encoder


@pytest.mark.parametrize("family", ["siglip2", "naflex"])
def test_an_embedding_depends_neither_on_the_number_of_cores_nor_on_the_batch(
    checkpoint_of: Callable[[str], Path], threads: Callable[[int], None], family: str
) -> None:
    found = {}
    for count in (1, 3):
        threads(count)
        encoder = loaded(checkpoint_of(family))
        pictures = pictures_for(encoder, 13)
        found[count] = encoder.encode_preprocessed(pictures)
        backwards = encoder.encode_preprocessed(pictures[::-1])[::-1]
        assert backwards == pytest.approx(found[count], abs=1e-6)
        alone = [encoder.encode_preprocessed([picture]) for picture in pictures]
        assert np.concatenate(alone) == pytest.approx(found[count], abs=1e-6)
        assert torch.get_num_threads() == count, "the caller keeps its threads"
    assert found[3] == pytest.approx(found[1], abs=1e-6)
    assert np.ptp(found[1], axis=0).max() > 1e-3, "the pictures can be told apart"


@pytest.mark.skipif(not can_run_int8(), reason="this CPU has no VNNI")
def test_in_8_bits_it_does_not_either(
    checkpoint_of: Callable[[str], Path], threads: Callable[[int], None]
) -> None:
    threads(3)
    encoder = loaded(checkpoint_of("siglip2"))
    pictures = pictures_for(encoder, 13)
    calibration = encoder.calibrate_int8(pictures, TEXTS)
    found = {}
    for count in (3, 1):
        threads(count)
        encoder = loaded(checkpoint_of("siglip2"))
        encoder.run_int8(calibration, gated=False)
        found[count] = encoder.encode_preprocessed(pictures)
    assert found[3] == pytest.approx(found[1], abs=1e-6)


@pytest.mark.skipif(not can_run_int8(), reason="this CPU has no VNNI")
def test_the_precision_can_change_while_pictures_are_embedded(
    checkpoint_of: Callable[[str], Path], threads: Callable[[int], None]
) -> None:
    threads(2)
    encoder = loaded(checkpoint_of("siglip2"))
    pictures = pictures_for(encoder, 24)
    exact = encoder.encode_preprocessed(pictures)
    enough = threading.Event()
    seen = []

    def embed() -> None:
        while not enough.is_set():
            seen.append(encoder.encode_preprocessed(pictures))

    others = [threading.Thread(target=embed) for _ in range(2)]
    for thread in others:
        thread.start()
    calibration = encoder.calibrate_int8(pictures, TEXTS)
    assert encoder.precision == "float32"
    encoder.run_int8(calibration, gated=False)
    quick = encoder.encode_preprocessed(pictures)
    enough.set()
    for thread in others:
        thread.join()
    for embeddings in seen:
        off = [np.abs(embeddings - each).max(axis=1) for each in (exact, quick)]
        assert np.minimum(*off).max() < 1e-6, "neither what it was nor what it is now"


def test_what_is_given_to_the_cores_comes_back_in_order_each_on_a_core_of_its_own(
    threads: Callable[[int], None],
) -> None:
    threads(3)
    cores = Cores()
    met = threading.Barrier(3, timeout=30)

    def work(number: int) -> tuple[int, int]:
        met.wait()  # only three at once get through
        return number, torch.get_num_threads()

    assert cores.map(work, range(12)) == [(number, 1) for number in range(12)]
    assert torch.get_num_threads() == 3


def test_while_the_cores_are_halted_nothing_runs(threads: Callable[[int], None]) -> None:
    threads(2)
    cores = Cores()
    began: list[int] = []
    asked = threading.Thread(target=lambda: cores.map(began.append, range(4)))
    with cores.halted():
        asked.start()
        time.sleep(0.05)
        assert not began
    asked.join(timeout=30)
    assert sorted(began) == [0, 1, 2, 3]
    with cores.halted():  # it can be done again
        pass


def test_what_fails_on_a_core_is_raised_to_who_asked(threads: Callable[[int], None]) -> None:
    threads(2)
    cores = Cores()
    with pytest.raises(ZeroDivisionError):
        cores.map(lambda number: 1 / number, [1, 0, 2])
    assert cores.map(lambda number: 1 / number, [1, 2]) == [1, 0.5]


def test_what_is_done_together_has_all_cores_and_one_thread_whoever_asks(
    threads: Callable[[int], None],
) -> None:
    threads(3)
    cores = Cores()
    cores.map(str, range(3))
    threads(1)

    def work() -> tuple[int, int]:
        return threading.get_ident(), torch.get_num_threads()

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: cores.together(work), range(8)))
    [(thread, count)] = found
    assert (thread != threading.get_ident(), count) == (True, 3)
    with pytest.raises(ZeroDivisionError):
        cores.together(lambda: 1 / 0)
