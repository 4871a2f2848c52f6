"""SigLIP's towers give what transformers' classes give, on any number of cores, and in 8 bits."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import EncoderConfig, UnsupportedCheckpoint, load_encoder
from encoders.siglip import DualEncoder
from encoders.siglip.int8 import can_run_int8, replace_layers
from encoders.siglip.model import load_model

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


def _of_transformers(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, dtype=dtype).eval()


def _picture_arguments(family: str) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    if family != "naflex":
        return {"pixel_values": torch.randn(5, 3, 32, 32, generator=random)}
    grids = torch.tensor([[6, 8], [8, 6], [6, 8], [4, 12], [48, 1]])
    return {
        "pixel_values": torch.randn(5, 48, 3 * 8 * 8, generator=random),
        "spatial_shapes": grids,
    }


def _agree(folder: Path, family: str, dtype: torch.dtype, tolerance: float) -> None:
    ours, theirs = load_model(folder, family, dtype), _of_transformers(folder, dtype)
    arguments = _picture_arguments(family)
    arguments["pixel_values"] = arguments["pixel_values"].to(dtype)
    ids = torch.randint(3, 100, (6, 64), generator=torch.Generator().manual_seed(4))
    mask = {"pixel_attention_mask": torch.ones(5, 48)} if family == "naflex" else {}
    with torch.inference_mode():
        assert ours.logit_bias is not None
        weighed = torch.stack([ours.logit_scale, ours.logit_bias])
        assert torch.equal(weighed, torch.stack([theirs.logit_scale, theirs.logit_bias]))
        pairs = [
            (
                ours.pictures(**arguments),
                theirs.get_image_features(**arguments, **mask).pooler_output,
            ),
            (ours.texts(input_ids=ids), theirs.get_text_features(input_ids=ids).pooler_output),
        ]
    for mine, reference in pairs:
        assert mine.dtype == dtype
        assert mine.shape == reference.shape
        scale = float(reference.float().abs().max())
        assert float((mine.float() - reference.float()).abs().max()) < tolerance * scale


@pytest.mark.parametrize("family", SIGLIP)
def test_both_towers_give_what_transformers_classes_give(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    _agree(checkpoint_of(family), family, torch.float32, 1e-5)


def test_they_do_in_bfloat16(checkpoint_of: Callable[[str], Path]) -> None:
    _agree(checkpoint_of("siglip2"), "siglip2", torch.bfloat16, 0.05)


def _rebuilt(folder: Path, source: Path, family: str, **changes: dict[str, Any]) -> Path:
    """The checkpoint with other towers, random anew; saved in several files."""
    from transformers import AutoConfig, AutoModel

    shutil.copytree(source, folder)
    (folder / "model.safetensors").unlink()
    config = AutoConfig.from_pretrained(source)
    for tower, settings in changes.items():
        for name, value in settings.items():
            setattr(getattr(config, tower), name, value)
    torch.manual_seed(5)
    AutoModel.from_config(config).save_pretrained(folder, max_shard_size="40KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    return folder


@pytest.mark.parametrize("family", SIGLIP)
def test_towers_of_other_shapes_in_several_files(
    checkpoint_of: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    """As g-opt's: the picture tower wider than the text's, which projects to its width."""
    folder = _rebuilt(
        tmp_path / family,
        checkpoint_of(family),
        family,
        text_config={"projection_size": 48, "num_hidden_layers": 3, "hidden_act": "gelu"},
        vision_config={"hidden_size": 48, "intermediate_size": 100, "num_attention_heads": 3},
    )
    _agree(folder, family, torch.float32, 1e-5)


def test_what_the_configuration_leaves_out_is_as_in_b16(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """The hub's own config.json files name only what differs from that."""
    folder = tmp_path / "siglip2"
    shutil.copytree(checkpoint_of("siglip2"), folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    for tower in ("text_config", "vision_config"):
        for name in ("hidden_act", "layer_norm_eps", "num_channels", "vision_use_head"):
            config[tower].pop(name, None)
    del config["text_config"]["projection_size"]
    del config["text_config"]["max_position_embeddings"]
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    _agree(folder, "siglip2", torch.float32, 1e-5)


@pytest.mark.parametrize(
    ("tower", "change", "complaint"),
    [
        ("text_config", {"hidden_act": "relu"}, "'relu'"),
        ("vision_config", {"num_attention_heads": 5}, "5 heads"),
        ("vision_config", {"vision_use_head": False}, "vision_use_head"),
        ("vision_config", {"hidden_size": 64}, "lacks weights"),
    ],
)
def test_towers_that_are_not_siglips_are_refused_with_the_reason(
    checkpoint_of: Callable[[str], Path],
    tmp_path: Path,
    tower: str,
    change: dict[str, Any],
    complaint: str,
) -> None:
    folder = tmp_path / "siglip2"
    shutil.copytree(checkpoint_of("siglip2"), folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config[tower] |= change
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(UnsupportedCheckpoint, match=complaint):
        load_encoder(str(folder), EncoderConfig(cache_dir=tmp_path / "cache"))


@needs_vnni
@pytest.mark.parametrize("family", SIGLIP)
def test_a_query_alone_and_among_others_is_what_the_tower_makes_of_it(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    folder = checkpoint_of(family)
    encoder = _in_8_bits(folder, cores=2)
    reference = _of_transformers(folder).text_model
    replace_layers(reference, encoder._towers[1].encoder.layers)
    with torch.inference_mode():
        wanted = reference(_ids(encoder, TEXTS)).pooler_output.numpy()
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
