"""A query's own way through the text tower gives what the tower gives, on any number of cores."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import EncoderConfig, load_encoder
from encoders.siglip import DualEncoder
from encoders.siglip.int8 import can_run_int8, text_pass_of

needs_vnni = pytest.mark.skipif(not can_run_int8(), reason="this CPU has no VNNI")

SIGLIP = ["siglip2", "naflex", "siglip1"]
TEXTS = [
    "",
    "a cat on the table",
    "con mèo",
    "雪の中の犬",
    "a dog " * 40,
    "красный дом",
    "gato",
    "d",
]


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _load(folder: Path, cores: int) -> DualEncoder:
    with _torch_threads(cores):
        encoder = load_encoder(str(folder), EncoderConfig())
    assert isinstance(encoder, DualEncoder)
    return encoder


def _in_8_bits(folder: Path, cores: int) -> DualEncoder:
    encoder = _load(folder, cores)
    noise = np.random.default_rng(0).integers(0, 256, (12, 40, 40, 3), dtype=np.uint8)
    pictures = [encoder.preprocess(Image.fromarray(each)) for each in noise]
    encoder.run_int8(encoder.calibrate_int8(pictures, TEXTS), gated=False)
    return encoder


def _ids(encoder: DualEncoder, texts: list[str]) -> torch.Tensor:
    return torch.from_numpy(encoder._text_input.arrays(texts)["input_ids"])


def _by_the_tower(encoder: DualEncoder, texts: list[str]) -> np.ndarray:
    """By transformers' own forward pass over the 8-bit layers, not normalised."""
    with torch.inference_mode():
        found: np.ndarray = encoder._towers[1](_ids(encoder, texts)).pooler_output.numpy()
    return found


@needs_vnni
@pytest.mark.parametrize("family", SIGLIP)
def test_a_query_alone_and_among_others_is_what_the_tower_makes_of_it(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    encoder = _in_8_bits(checkpoint_of(family), cores=2)
    wanted = _by_the_tower(encoder, TEXTS)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert encoder.encode_texts(TEXTS) == pytest.approx(wanted, abs=1e-5)
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    assert alone == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("quick", [pytest.param(True, marks=needs_vnni), False])
def test_queries_alone_and_together_from_many_threads_do_not_mix(
    checkpoint_of: Callable[[str], Path], quick: bool
) -> None:
    folder = checkpoint_of("siglip2")
    encoder = _in_8_bits(folder, cores=2) if quick else _load(folder, cores=2)
    wanted = encoder.encode_texts(TEXTS)

    def ask(number: int) -> bool:
        first = number % len(TEXTS)
        asked = slice(first, first + 1 + number % 3)
        return bool(np.abs(encoder.encode_texts(TEXTS[asked]) - wanted[asked]).max() < 1e-5)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(60)))


@pytest.mark.parametrize("family", ["clip", "chinese_clip", "metaclip2"])
def test_other_families_keep_their_own_way(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    encoder = _load(checkpoint_of(family), cores=2)
    assert text_pass_of(encoder._towers[1]) is None
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    assert encoder.encode_texts(TEXTS) == pytest.approx(alone, abs=1e-5)
