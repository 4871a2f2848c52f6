"""A checkpoint's folder: what must be in it, and why some can't be used."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from encoders.errors import UnsupportedCheckpoint

SIGLIP_TYPES = frozenset({"siglip", "siglip2"})
"""Which are our own towers. SigLIP 2 of fixed resolution is `siglip`."""

MODEL_TYPES = SIGLIP_TYPES | {"clip", "chinese_clip", "altclip", "metaclip_2"}
"""Both towers in one space, in transformers' names."""

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = ("tokenizer.json", "spiece.model", "tokenizer.model", "vocab.txt", "vocab.json")
PICTURE_FILES = ("preprocessor_config.json", "processor_config.json")

SETTINGS_FILES = (
    "config.json",
    WEIGHTS_INDEX,
    *PICTURE_FILES,
    *TOKENIZER_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "merges.txt",
)
"""What decides the embeddings beside the weights; README and the like don't."""

SUGGESTION = "Try google/siglip2-base-patch16-224."


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedCheckpoint(
            f"{path} can't be read ({error}). Download the checkpoint again."
        ) from error
    if not isinstance(content, dict):
        raise UnsupportedCheckpoint(f"{path} holds no JSON object. Download the checkpoint again.")
    return content


def check_config(folder: Path, checkpoint: str, names: Iterable[str]) -> None:
    """Refuse what can't embed pictures and texts into one space, before any weights are needed.

    names: all files of the checkpoint, of which only the small ones need to be in `folder` yet.
    """
    if not (folder / "config.json").is_file():
        raise UnsupportedCheckpoint(f"{checkpoint} has no config.json: {_other_layout(set(names))}")
    model_type = read_json(folder / "config.json").get("model_type")
    if model_type in MODEL_TYPES:
        return
    tower = str(model_type).removesuffix("_model").rpartition("_")[2]
    if tower == "vision":
        reason = "it has only the picture tower, and searching by words needs the text tower too"
    elif tower == "text":
        reason = "it has only the text tower"
    else:
        reason = f"known types are {', '.join(sorted(MODEL_TYPES))}"
    raise UnsupportedCheckpoint(
        f"{checkpoint} is of type {model_type!r}, which can't be used: {reason}. {SUGGESTION}"
    )


def check_files(folder: Path, checkpoint: str) -> None:
    """Refuse a folder without weights, tokenizer or picture settings, naming what is missing."""
    names = {path.name for path in folder.iterdir()}
    missing = [name for name in weight_names(folder, checkpoint, names) if name not in names]
    if missing:
        raise UnsupportedCheckpoint(
            f"{checkpoint} is incomplete: {', '.join(missing)} missing. Download it again."
        )
    for wanted, purpose in ((TOKENIZER_FILES, "a tokenizer"), (PICTURE_FILES, "picture settings")):
        if names.isdisjoint(wanted):
            raise UnsupportedCheckpoint(
                f"{checkpoint} lacks {purpose} ({' or '.join(wanted)}). "
                "Download it again with all its files."
            )


def weight_names(folder: Path, checkpoint: str, names: Iterable[str]) -> list[str]:
    """The safetensors that hold the weights, of the checkpoint's files `names`."""
    names = set(names)
    if WEIGHTS in names:
        return [WEIGHTS]
    if WEIGHTS_INDEX in names:
        weight_map = read_json(folder / WEIGHTS_INDEX).get("weight_map")
        if isinstance(weight_map, dict) and weight_map:
            return sorted({Path(str(shard)).name for shard in weight_map.values()})
    if any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in names):
        raise UnsupportedCheckpoint(
            f"{checkpoint} has only pickled weights, which could run code and are never loaded. "
            f"Use a checkpoint that has {WEIGHTS}, or convert this one."
        )
    raise UnsupportedCheckpoint(
        f"{checkpoint} has no {WEIGHTS}. Download it again with all its files."
    )


def _other_layout(names: set[str]) -> str:
    if "adapter_config.json" in names:
        return "it is an adapter; merge it into its model and save that."
    if "open_clip_config.json" in names:
        return "it is laid out for OpenCLIP; use the same model in transformers' layout."
    if any(name.endswith(".npz") for name in names):
        return "it holds JAX weights; use the repository without -jax in its name."
    return f"it is no model in transformers' layout. {SUGGESTION}"
