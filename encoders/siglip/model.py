"""Weights → a model that is ready to embed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.errors import UnsupportedCheckpoint

if TYPE_CHECKING:
    import torch

NAMED_KEYS = 5
"""How many missing tensors a message lists."""


def load_model(folder: Path, checkpoint: str, dtype: "torch.dtype") -> Any:
    """Both towers from safetensors, in one pass, on the CPU.

    A tensor that the checkpoint lacks would be filled at random and give embeddings that look
    fine and mean nothing, so it is an error.
    """
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
    lacking = sorted({*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])})
    if lacking:
        more = f" and {len(lacking) - NAMED_KEYS} more" if len(lacking) > NAMED_KEYS else ""
        raise UnsupportedCheckpoint(
            f"{checkpoint} lacks weights, or has them in another shape: "
            f"{', '.join(lacking[:NAMED_KEYS])}{more}. Its embeddings would be partly random; "
            "choose another checkpoint, such as google/siglip2-base-patch16-224."
        )
    return model.eval()
