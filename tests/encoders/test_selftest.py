"""The self-test passes a sound encoder and catches a broken side of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from encoders.config import EncoderConfig
from encoders.errors import SelfTestFailed
from encoders.load import load_encoder
from encoders.probes import PROBE_TEXTS, probe_pictures
from encoders.protocol import Embeddings
from encoders.selftest import NpzGoldenStore, run_self_test
from encoders.siglip import DualEncoder

LoadTiny = Callable[[str], DualEncoder]


@pytest.fixture
def load_tiny(checkpoint_of: Callable[[str], Path], tmp_path: Path) -> LoadTiny:
    """A family's name → its tiny encoder, fresh for each test to break."""

    def load(family: str) -> DualEncoder:
        config = EncoderConfig(cache_dir=tmp_path / "cache", device="cpu")
        encoder = load_encoder(str(checkpoint_of(family)), config)
        assert isinstance(encoder, DualEncoder)
        return encoder

    return load


@pytest.fixture
def store(tmp_path: Path) -> NpzGoldenStore:
    return NpzGoldenStore(tmp_path / "data" / "golden.npz")


@pytest.mark.parametrize(
    "family", ["siglip2", "naflex", "siglip1", "clip", "chinese_clip", "metaclip2"]
)
def test_a_sound_encoder_passes_at_every_start(
    load_tiny: LoadTiny, store: NpzGoldenStore, family: str
) -> None:
    for _ in range(2):
        run_self_test(load_tiny(family), store)
    golden = store.load()
    assert golden is not None
    assert sorted(array.shape for array in golden.values()) == [(3, 32), (5, 32)]


def test_one_store_serves_two_spaces(load_tiny: LoadTiny, store: NpzGoldenStore) -> None:
    for family in ("siglip2", "naflex", "siglip2"):
        run_self_test(load_tiny(family), store)
    golden = store.load()
    assert golden is not None
    assert len(golden) == 4


@pytest.mark.parametrize(("tower", "part"), [("picture", "vision_model"), ("text", "text_model")])
def test_other_weights_in_a_tower_are_caught_and_named(
    load_tiny: LoadTiny, store: NpzGoldenStore, tower: str, part: str
) -> None:
    run_self_test(load_tiny("siglip2"), store)
    broken = load_tiny("siglip2")
    with torch.no_grad():
        for weights in getattr(broken._model, part).parameters():
            weights.copy_(weights.roll(1, 0))
    with pytest.raises(SelfTestFailed, match=f"The {tower} tower of .* recorded"):
        run_self_test(broken, store)


def _embedded(encoder: DualEncoder, ids: NDArray[np.int64]) -> Embeddings:
    tokens = torch.from_numpy(ids)
    with torch.inference_mode():
        pooled = encoder._model.texts(input_ids=tokens)
        embeddings: Embeddings = torch.nn.functional.normalize(pooled, dim=-1).numpy()
    return embeddings


class Altered:
    """A real encoder with one side changed."""

    def __init__(self, encoder: DualEncoder) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


class PadsToLongest(Altered):
    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        encoder = self._encoder
        ids = encoder._text_input.arrays(texts)["input_ids"]
        longest = int((ids != 0).sum(axis=1).max())
        return _embedded(encoder, ids[:, :longest])


class PadsToAnotherLength(Altered):
    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        encoder = self._encoder
        ids = encoder._text_input.arrays(texts)["input_ids"][:, :48]
        return _embedded(encoder, ids)


class KeepsCapitals(Altered):
    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return self._encoder.encode_texts(
            [text if text.islower() else text[::-1] for text in texts]
        )


class ForgetsToNormalise(Altered):
    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        return self._encoder.encode_images(images) * np.float32(3)


class GivesNothing(Altered):
    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return np.full((len(texts), 32), np.nan, dtype=np.float32)


class GivesAnotherDim(Altered):
    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return self._encoder.encode_texts(texts)[:, :16]


class TurnsPictures(Altered):
    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        return self._encoder.encode_images([image.rotate(90, expand=True) for image in images])


class SwapsColours(Altered):
    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        swapped = [Image.merge("RGB", image.split()[::-1]) for image in images]
        return self._encoder.encode_images(swapped)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (PadsToLongest, "text tower .* batch"),
        (PadsToAnotherLength, "text tower .* recorded"),
        (KeepsCapitals, "text tower .* capitals"),
        (ForgetsToNormalise, "picture tower .* norm"),
        (GivesNothing, "text tower .* not finite"),
        (GivesAnotherDim, r"text tower .* shape \(5, 16\)"),
        (TurnsPictures, "picture tower .* recorded"),
        (SwapsColours, "picture tower .* recorded"),
    ],
)
def test_a_broken_side_is_caught_and_named(
    load_tiny: LoadTiny, store: NpzGoldenStore, broken: type[Altered], complaint: str
) -> None:
    run_self_test(load_tiny("siglip2"), store)
    with pytest.raises(SelfTestFailed, match=complaint):
        run_self_test(broken(load_tiny("siglip2")), store)


def test_a_failed_self_test_records_nothing(load_tiny: LoadTiny, store: NpzGoldenStore) -> None:
    with pytest.raises(SelfTestFailed):
        run_self_test(PadsToLongest(load_tiny("siglip2")), store)
    assert store.load() is None


def test_naflex_padded_without_a_mask_is_caught(load_tiny: LoadTiny, store: NpzGoldenStore) -> None:
    run_self_test(load_tiny("naflex"), store)
    broken = load_tiny("naflex")
    embeddings = broken._model.vision_model.embeddings

    def pad(_: torch.nn.Module, inputs: tuple[()], patches: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(patches, (0, 0, 0, 64))

    embeddings.register_forward_hook(pad)
    with pytest.raises(SelfTestFailed, match="picture tower"):
        run_self_test(broken, store)


def test_bfloat16_agrees_with_what_float32_recorded(
    checkpoint_of: Callable[[str], Path], tmp_path: Path, store: NpzGoldenStore
) -> None:
    for dtype in ("float32", "bfloat16"):
        config = EncoderConfig(cache_dir=tmp_path, device="cpu", dtype=dtype)
        run_self_test(load_encoder(str(checkpoint_of("siglip2")), config), store)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_damaged_record_is_reported_with_its_path(
    load_tiny: LoadTiny, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "golden.npz"
    path.write_bytes(content)
    with pytest.raises(SelfTestFailed, match=r"golden\.npz is damaged"):
        run_self_test(load_tiny("siglip2"), NpzGoldenStore(path))


def test_probes_are_the_same_bytes_everywhere() -> None:
    """Goldens recorded on one machine are compared on another."""
    import hashlib

    digest = hashlib.sha256()
    for picture in probe_pictures():
        digest.update(picture.tobytes())
    digest.update("".join(PROBE_TEXTS).encode())
    assert digest.hexdigest()[:16] == "e70a5eea27636f79"
