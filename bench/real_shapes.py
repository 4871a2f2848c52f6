"""Checkpoints of the real architectures with random weights: what they compute means nothing, how
long it takes does.

    python -m bench.real_shapes SIZE FOLDER

The tokenizer and its vocabulary are the tests' tiny ones: looking up tokens costs no time.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SIZES: dict[str, dict[str, Any]] = {
    "B/16-224": {
        "tower": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
        },
        "pictures": {"image_size": 224, "patch_size": 16},
    },
}


def build(size: str, folder: Path) -> Path:
    """A SigLIP 2 checkpoint as the hub lays it out; some 0.7 GB for B/16.

    In a process of its own: drawing the weights would leave a team of torch's threads behind here,
    which slows a process down that measures (see `encoders.cores.Cores.together`).
    """
    subprocess.run([sys.executable, "-m", __spec__.name, size, str(folder)], check=True)
    return folder


def _write(size: str, folder: Path) -> None:
    import torch
    from transformers import SiglipConfig, SiglipModel

    from tests.tiny_checkpoints import build_tiny_siglip2

    build_tiny_siglip2(folder)
    shape = SIZES[size]
    tiny = SiglipConfig.from_pretrained(folder)
    text = {**tiny.text_config.to_dict(), **shape["tower"]}
    text["projection_size"] = shape["tower"]["hidden_size"]
    config = SiglipConfig(text_config=text, vision_config={**shape["tower"], **shape["pictures"]})
    torch.manual_seed(0)
    SiglipModel(config).save_pretrained(folder)
    side = shape["pictures"]["image_size"]
    settings = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
    settings["size"] = {"height": side, "width": side}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), "utf-8")


if __name__ == "__main__":
    _write(sys.argv[1], Path(sys.argv[2]))
