"""The picture tower of a checkpoint as an ONNX file, which rclip runs:
python -m bench.peers_onnx CHECKPOINT FILE ENVIRONMENT (that has the `onnx` package)
"""

import sys
import warnings

import torch
from torch import nn
from transformers import AutoModel


class PictureTower(nn.Module):
    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        self.tower = AutoModel.from_pretrained(checkpoint).eval().vision_model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.tower(pixel_values=pixels).pooler_output
        return pooled


def main() -> None:
    checkpoint, file, environment = sys.argv[1:]
    sys.path.append(environment)
    batch = {0: "batch"}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the exporter, on itself
        torch.onnx.export(
            PictureTower(checkpoint),
            (torch.zeros(2, 3, 224, 224),),
            file,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": batch, "output": batch},
            dynamo=False,
        )


if __name__ == "__main__":
    main()
