"""8-bit arithmetic against float32, on tiny checkpoints and on a layer of a real shape."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import SiglipVisionConfig, SiglipVisionModel

from encoders import EncoderConfig, load_encoder
from encoders.siglip import DualEncoder
from encoders.siglip.int8 import (
    Agreement,
    Calibration,
    TowerCalibration,
    agreement,
    can_quantize,
    can_run_int8,
    quantized_layers,
    replace_layers,
    watching,
)

needs_vnni = pytest.mark.skipif(not can_run_int8(), reason="this CPU has no VNNI")

TEXTS = ["a cat on the table", "con mèo", "雪の中の犬", "красный дом", "gato sobre la mesa", "dog"]


@pytest.fixture
def encoder_of(checkpoint_of: Callable[[str], Path]) -> Callable[[str], DualEncoder]:
    """A family → an encoder of its own, since these tests change what it computes in."""

    def load(family: str) -> DualEncoder:
        encoder = load_encoder(str(checkpoint_of(family)), EncoderConfig())
        assert isinstance(encoder, DualEncoder)
        return encoder

    return load


def _pictures(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((40, 50))
        for _ in range(count)
    ]


def _vision_tower(outliers: float = 1.0) -> torch.nn.Module:
    """Two layers as wide as a real tower's. outliers: how much some channels are larger; what
    they feed is as much smaller, so that the tower computes the same."""
    torch.manual_seed(0)
    config = SiglipVisionConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=2,
        num_attention_heads=3,
        image_size=64,
        patch_size=16,
    )
    model = SiglipVisionModel(config).eval()
    with torch.no_grad():
        for layer in model.encoder.layers:
            attention = layer.self_attn
            fed_by_first = (attention.q_proj, attention.k_proj, attention.v_proj)
            for norm, fed in (
                (layer.layer_norm1, fed_by_first),
                (layer.layer_norm2, [layer.mlp.fc1]),
            ):
                channels = torch.randperm(192)[:4]
                norm.weight[channels] *= outliers
                for product in fed:
                    product.weight[:, channels] /= outliers
    return model


def _mean_error(tower: torch.nn.Module) -> float:
    """Of the tower in 8 bits: how far its output is off, as a share of how far inputs set apart."""
    torch.manual_seed(1)
    pixels = torch.nn.functional.interpolate(torch.randn(24, 3, 8, 8), 64, mode="bilinear")
    with torch.inference_mode():
        with watching(tower) as ranges:
            exact = tower(pixels).pooler_output
        replace_layers(tower, quantized_layers(tower, ranges))
        quick = tower(pixels).pooler_output
    spread = (exact - exact.mean(0)).norm()
    return float((quick - exact).norm() / spread)


@needs_vnni
def test_a_tower_in_8_bits_computes_what_it_did() -> None:
    assert 0 < _mean_error(_vision_tower()) < 0.03


@needs_vnni
def test_channels_that_stand_out_cost_no_precision() -> None:
    assert _mean_error(_vision_tower(outliers=30.0)) < 1.5 * _mean_error(_vision_tower())


@needs_vnni
@pytest.mark.parametrize("family", ["siglip2", "naflex", "siglip1"])
def test_an_encoder_in_8_bits_agrees_with_float32(
    encoder_of: Callable[[str], DualEncoder], family: str
) -> None:
    encoder = encoder_of(family)
    pictures = _pictures(24)
    exact = encoder.encode_images(pictures), encoder.encode_texts(TEXTS)
    assert encoder.could_run_int8
    calibration = encoder.calibrate_int8([encoder.preprocess(each) for each in pictures], TEXTS)
    assert encoder.precision == "float32"
    assert encoder.encode_images(pictures) == pytest.approx(exact[0], abs=1e-6)

    encoder.run_int8(calibration, gated=False)
    assert encoder.precision == "int8"
    assert not encoder.could_run_int8
    quick = encoder.encode_images(pictures), encoder.encode_texts(TEXTS)
    assert np.abs(quick[0] - exact[0]).max() > 1e-6, "it does not compute in 8 bits"
    found = agreement(exact[0], quick[0], (exact[1], exact[1]))
    assert found.mean_cosine == pytest.approx(calibration.pictures.agreement.mean_cosine, abs=2e-3)
    assert found.mean_cosine > 0.98
    assert (quick[0] * exact[0]).sum(axis=1).min() > 0.98
    assert (quick[1] * exact[1]).sum(axis=1).min() > 0.98


@needs_vnni
def test_a_batch_does_not_matter_in_8_bits(
    encoder_of: Callable[[str], DualEncoder],
) -> None:
    encoder = encoder_of("siglip2")
    pictures = [encoder.preprocess(each) for each in _pictures(5)]
    encoder.run_int8(encoder.calibrate_int8(pictures, TEXTS), gated=False)
    texts = encoder.encode_texts(TEXTS), [encoder.encode_texts([text]) for text in TEXTS]
    assert texts[0] == pytest.approx(np.concatenate(texts[1]), abs=1e-4)
    together = encoder.encode_preprocessed(pictures)
    alone = [encoder.encode_preprocessed([picture]) for picture in pictures]
    assert together == pytest.approx(np.concatenate(alone), abs=1e-4)


@needs_vnni
def test_a_calibration_outlives_the_process(
    encoder_of: Callable[[str], DualEncoder], tmp_path: Path
) -> None:
    encoder = encoder_of("siglip2")
    pictures = [encoder.preprocess(each) for each in _pictures(12)]
    made = encoder.calibrate_int8(pictures, TEXTS)
    path = tmp_path / "int8.npz"
    with path.open("wb") as file:
        made.save(file)
    kept = Calibration.load(path)
    assert kept is not None
    assert kept.pictures.agreement == made.pictures.agreement
    assert kept.texts.agreement == made.texts.agreement

    encoder.run_int8(made, gated=False)
    another = encoder_of("siglip2")
    another.run_int8(kept, gated=False)
    assert np.array_equal(encoder.encode_texts(TEXTS), another.encode_texts(TEXTS))
    assert np.array_equal(
        encoder.encode_preprocessed(pictures), another.encode_preprocessed(pictures)
    )


def test_a_calibration_that_is_damaged_or_missing_is_made_anew(tmp_path: Path) -> None:
    assert Calibration.load(tmp_path / "none.npz") is None
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 no more of it")
    assert Calibration.load(tmp_path / "damaged.npz") is None


def test_only_towers_that_are_known_are_quantized(
    encoder_of: Callable[[str], DualEncoder],
) -> None:
    assert not encoder_of("clip").could_run_int8, "its quick GELU is not one that oneDNN has"
    assert not encoder_of("chinese_clip").could_run_int8
    assert not can_quantize(torch.nn.Linear(2, 2))


def test_another_dtype_that_is_asked_for_is_kept(checkpoint_of: Callable[[str], Path]) -> None:
    folder = str(checkpoint_of("siglip2"))
    for dtype in ("float32", "bfloat16"):
        encoder = load_encoder(folder, EncoderConfig(dtype=dtype))
        assert isinstance(encoder, DualEncoder)
        assert encoder.precision == dtype
        assert not encoder.could_run_int8


@needs_vnni
def test_a_tower_that_does_not_agree_stays_in_float32(
    encoder_of: Callable[[str], DualEncoder],
) -> None:
    encoder = encoder_of("siglip2")
    pictures = [encoder.preprocess(each) for each in _pictures(12)]
    exact = encoder.encode_preprocessed(pictures), encoder.encode_texts(TEXTS)
    made = encoder.calibrate_int8(pictures, TEXTS)
    good, bad = Agreement(1.0, 1.0, 1.0), Agreement(0.9, 0.9, 0.9)
    encoder.run_int8(
        Calibration(
            TowerCalibration(made.pictures.ranges, good), TowerCalibration(made.texts.ranges, bad)
        )
    )
    assert encoder.precision == "int8 (pictures), float32 (texts)"
    assert not np.array_equal(encoder.encode_preprocessed(pictures), exact[0])
    assert np.array_equal(encoder.encode_texts(TEXTS), exact[1])


def test_agreement_is_of_what_tells_embeddings_apart() -> None:
    rng = np.random.default_rng(0)
    shared = np.full((30, 8), 5.0, dtype=np.float32)
    own = rng.normal(size=(30, 8)).astype(np.float32)
    other = rng.normal(size=(30, 8)).astype(np.float32)
    texts = rng.normal(size=(20, 8)).astype(np.float32)
    same = agreement(shared + own, shared + own, (texts, texts))
    assert (same.mean_cosine, same.top_agreement) == (pytest.approx(1.0), 1.0)
    assert same.is_enough
    # Nearly the same direction, as all share so much; yet nothing of what differs is right.
    wrong = agreement(shared + own, shared + other, (texts, texts))
    assert wrong.mean_cosine < 0.8
    assert wrong.top_agreement < 0.7
    assert not wrong.is_enough


def test_agreement_counts_the_nearest_pictures_of_a_text_from_either_side() -> None:
    pictures = np.eye(20, dtype=np.float32)
    descending = np.linspace(1, 0, 20, dtype=np.float32)
    text, another = descending[np.newaxis], descending[np.newaxis].copy()
    another[0, [9, 10]] = another[0, [10, 9]]  # one of the first ten changes places with the next
    of_texts = agreement(text, another, (pictures, pictures), of_texts=True)
    assert of_texts.top_agreement == pytest.approx(0.9)
    swapped = pictures[[*range(9), 10, 9, *range(11, 20)]]
    assert agreement(pictures, swapped, (text, text)).top_agreement == pytest.approx(0.9)


@pytest.mark.parametrize(
    "found", [Agreement(0.998, 0.995, 1.0), Agreement(0.9995, 0.98, 1.0), Agreement(1, 1, 0.97)]
)
def test_the_gate_asks_for_all_three(found: Agreement) -> None:
    assert not found.is_enough
    assert Agreement(0.9992, 0.991, 0.99).is_enough
