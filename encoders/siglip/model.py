"""Weights → a model that is ready to embed."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from encoders.checkpoints.files import SIGLIP_TYPES, read_json, weight_names
from encoders.errors import UnsupportedCheckpoint

if TYPE_CHECKING:
    import torch

NAMED_KEYS = 5
"""How many missing tensors a message lists."""


class DualModel(Protocol):
    """Two towers with one dim, and what their cosines are weighed by."""

    max_tokens: int
    """That the text tower has positions for."""
    dim: int

    @property
    def vision_model(self) -> Any: ...

    @property
    def text_model(self) -> Any: ...

    @property
    def logit_scale(self) -> "torch.Tensor": ...

    @property
    def logit_bias(self) -> "torch.Tensor | None": ...

    @property
    def dtype(self) -> "torch.dtype": ...

    def pictures(self, **arguments: "torch.Tensor") -> "torch.Tensor":
        """A PictureInput's tensors → (n, dim), not normalised."""

    def texts(self, **arguments: "torch.Tensor") -> "torch.Tensor":
        """A TextInput's arrays → (n, dim), not normalised."""

    def to(self, device: "torch.device", /) -> Any: ...


def load_model(folder: Path, checkpoint: str, dtype: "torch.dtype") -> DualModel:
    """Both towers from safetensors, on the CPU.

    A tensor that the checkpoint lacks would be filled at random and give embeddings that look
    fine and mean nothing, so it is an error.
    """
    config = read_json(folder / "config.json")
    if config.get("model_type") in SIGLIP_TYPES:
        return _siglip(config, folder, checkpoint, dtype)
    return _of_transformers(folder, checkpoint, dtype)


def _siglip(
    config: dict[str, Any], folder: Path, checkpoint: str, dtype: "torch.dtype"
) -> DualModel:
    """Its tensors stay in the file, mapped, where they are used as they are."""
    from safetensors import safe_open

    from encoders.siglip.towers import TwoTowers

    model = TwoTowers(config)
    wanted = model.state_dict()
    tensors = {}
    for name in weight_names(folder, checkpoint, [path.name for path in folder.iterdir()]):
        with safe_open(folder / name, framework="pt") as file:
            for key in wanted.keys() & set(file.keys()):
                tensor = file.get_tensor(key)
                if tensor.shape == wanted[key].shape:
                    tensors[key] = tensor.to(dtype)
    _refuse_lacking(wanted.keys() - tensors.keys(), checkpoint)
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def _of_transformers(folder: Path, checkpoint: str, dtype: "torch.dtype") -> DualModel:
    """CLIP and its kin."""
    from transformers import AutoModel
    from transformers.utils import logging

    # What goes wrong comes as our own error; a progress bar of one second only flickers.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model, report = AutoModel.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    mismatched = {key[0] for key in report["mismatched_keys"]}
    _refuse_lacking({*report["missing_keys"], *mismatched}, checkpoint)
    return TransformersModel(model.eval())


class TransformersModel:
    """One of transformers' classes with two towers."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.vision_model, self.text_model = model.vision_model, model.text_model
        self.logit_scale: torch.Tensor = model.logit_scale
        self.logit_bias = None
        self.max_tokens = max_tokens_of(model.config)
        self.dim = int(model.config.projection_dim)

    @property
    def dtype(self) -> "torch.dtype":
        dtype: torch.dtype = self._model.dtype
        return dtype

    def pictures(self, **arguments: "torch.Tensor") -> "torch.Tensor":
        made: torch.Tensor = self._model.get_image_features(**arguments).pooler_output
        return made

    def texts(self, **arguments: "torch.Tensor") -> "torch.Tensor":
        made: torch.Tensor = self._model.get_text_features(**arguments).pooler_output
        return made

    def to(self, device: "torch.device", /) -> Any:
        return self._model.to(device)


def max_tokens_of(config: Any) -> int:
    """The longest text that transformers' configuration of a model with two towers has room for."""
    text = config.text_config
    # XLM-RoBERTa counts a text's positions from the one after the padding's.
    unused = text.pad_token_id + 1 if config.model_type == "altclip" else 0
    return int(text.max_position_embeddings) - unused


def _refuse_lacking(keys: Iterable[str], checkpoint: str) -> None:
    """Raises UnsupportedCheckpoint where there are any."""
    lacking = sorted(keys)
    if not lacking:
        return
    more = f" and {len(lacking) - NAMED_KEYS} more" if len(lacking) > NAMED_KEYS else ""
    raise UnsupportedCheckpoint(
        f"{checkpoint} lacks weights, or has them in another shape: "
        f"{', '.join(lacking[:NAMED_KEYS])}{more}. Its embeddings would be partly random; "
        "choose another checkpoint, such as google/siglip2-base-patch16-224."
    )
