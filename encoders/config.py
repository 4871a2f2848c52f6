"""How to load and run an encoder."""

from dataclasses import dataclass
from pathlib import Path

from encoders.errors import EncoderError

FEWEST_PATCHES, MOST_PATCHES = 128, 1024


@dataclass(frozen=True)
class EncoderConfig:
    """Settings of whoever runs the encoder; none of them but max_num_patches changes the space.

    device: auto, cpu, cuda, cuda:1, mps. dtype: auto, int8, float32, bfloat16, float16; with auto
    and int8 a CPU that has the instructions computes in 8 bits where that finds the same pictures.
    revision: a branch, tag or commit of the checkpoint on the hub.
    max_num_patches: how finely a NaFlex checkpoint sees a picture, 128 to 1024.
    cache_dir: where digests of local weights are remembered; None for the user's cache folder.
    Downloads go to huggingface_hub's own cache, which other programs share.
    """

    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None
    max_num_patches: int = 256
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        if not FEWEST_PATCHES <= self.max_num_patches <= MOST_PATCHES:
            raise EncoderError(
                f"max_num_patches is {self.max_num_patches}; NaFlex checkpoints are trained for "
                f"{FEWEST_PATCHES} to {MOST_PATCHES}."
            )
