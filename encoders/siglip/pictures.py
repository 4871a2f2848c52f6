"""Pictures → what the picture tower takes, equal to the checkpoints' own image processors.

Preprocessing leaves bytes (uint8 of shape (height, width, 3)): a quarter of what floats would
take on the way to the model. They are normalised there, a batch at once.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.checkpoints.files import read_json
from encoders.errors import UnsupportedCheckpoint
from encoders.protocol import Preprocessed

if TYPE_CHECKING:
    import torch

TensorsByName = dict[str, "torch.Tensor"]


class PictureInput(Protocol):
    """Pictures → bytes → the picture tower's arguments. Holds no weights: decode workers get a
    pickled copy."""

    @property
    def min_decode_side(self) -> int: ...

    def preprocess(self, image: Image.Image) -> Preprocessed: ...

    def groups(self, batch: Sequence[Preprocessed]) -> list[list[int]]:
        """Positions in the batch that can go through the model together without padding."""

    def tensors(self, batch: Sequence[Preprocessed], device: "torch.device") -> TensorsByName:
        """The arguments for pictures of one group, float32."""


@dataclass(frozen=True)
class Normalisation:
    """Bytes → the model's range, for each of red, green and blue: byte * scale + shift."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]

    @classmethod
    def of(cls, processor: Any) -> "Normalisation":
        """Of one of transformers' image processors."""
        rescale = float(processor.rescale_factor) if processor.do_rescale else 1.0
        if not processor.do_normalize:
            return cls.by(rescale, 0, 1)
        return cls.by(rescale, processor.image_mean, processor.image_std)

    @classmethod
    def by(cls, rescale: float, mean: Any, std: Any) -> "Normalisation":
        """mean, std: a number, or one a channel."""
        means, stds = _per_channel(mean), _per_channel(std)
        return cls(
            tuple(rescale / s for s in stds),
            tuple(-m / s for m, s in zip(means, stds, strict=True)),
        )

    def apply(self, data: "torch.Tensor") -> "torch.Tensor":
        """uint8 (…, 3·k), channels innermost → float32 of the same shape."""
        import torch

        repeats = data.shape[-1] // 3
        scale = torch.tensor(self.scale * repeats, device=data.device)
        shift = torch.tensor(self.shift * repeats, device=data.device)
        return torch.addcmul(shift, data.float(), scale)


def _per_channel(value: Any) -> tuple[float, ...]:
    return (float(value),) * 3 if isinstance(value, int | float) else tuple(map(float, value))


class FixedSize:
    """SigLIP, CLIP: every picture becomes height × width pixels.

    `shortest_edge` given: scaled until its shorter side is that long, then cut out of the middle.
    Not given: squashed, whatever its aspect ratio.
    """

    def __init__(
        self,
        size: tuple[int, int],
        shortest_edge: int | None,
        resample: Image.Resampling,
        normalisation: Normalisation,
    ) -> None:
        self._height, self._width = size
        self._shortest_edge = shortest_edge
        self._resample = resample
        self._normalisation = normalisation
        self.min_decode_side = 2 * (shortest_edge or max(size))

    def preprocess(self, image: Image.Image) -> Preprocessed:
        image = _rgb(image)
        if self._shortest_edge is None:
            return np.asarray(image.resize((self._width, self._height), self._resample))
        return np.asarray(self._middle(image, self._shortest_edge))

    def _middle(self, image: Image.Image, edge: int) -> Image.Image:
        """The middle of the picture resized so that its shorter side is `edge` long.

        Resizes only what ends up in the crop, so that 10,000 × 10 pixels don't become
        224,000 × 224 first. Columns before rows, one call each: in one call Pillow may choose
        the other order for a box than for the whole, and its rounding differs.
        """
        left, right = self._kept(image.width, edge * image.width // min(image.size), self._width)
        top, bottom = self._kept(image.height, edge * image.height // min(image.size), self._height)
        columns = (left, 0, right, image.height)
        narrow = image.resize((self._width, image.height), self._resample, box=columns)
        rows = (0, top, self._width, bottom)
        return narrow.resize((self._width, self._height), self._resample, box=rows)

    @staticmethod
    def _kept(side: int, resized: int, wanted: int) -> tuple[float, float]:
        """Where the middle `wanted` of `resized` pixels starts and ends on the original `side`."""
        start = (resized - wanted) // 2
        return start * side / resized, min((start + wanted) * side / resized, side)

    def groups(self, batch: Sequence[Preprocessed]) -> list[list[int]]:
        return [list(range(len(batch)))]

    def tensors(self, batch: Sequence[Preprocessed], device: "torch.device") -> TensorsByName:
        import torch

        data = torch.from_numpy(np.stack(batch)).to(device)
        pixels = self._normalisation.apply(data)
        return {"pixel_values": pixels.permute(0, 3, 1, 2).contiguous()}


_LARGEST_SCALE = 100.0
_SCALE_STEP = 1e-5


class NativeAspect:
    """SigLIP 2 NaFlex: as many square patches as allowed, in the picture's own aspect ratio."""

    def __init__(
        self,
        patch_size: int,
        max_num_patches: int,
        resample: Image.Resampling,
        normalisation: Normalisation,
    ) -> None:
        self._patch_size = patch_size
        self._max_num_patches = max_num_patches
        self._resample = resample
        self._normalisation = normalisation
        # The shorter side never gets more than √patches of them.
        self.min_decode_side = 2 * patch_size * ceil(sqrt(max_num_patches))

    def preprocess(self, image: Image.Image) -> Preprocessed:
        columns, rows = self._grid(image.width, image.height)
        size = (columns * self._patch_size, rows * self._patch_size)
        return np.asarray(_rgb(image).resize(size, self._resample))

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """Columns and rows of patches of a picture enlarged or shrunk as far as they may go.

        The scale is found by halving an interval, in the steps of the checkpoints' own processor:
        the last of them decides which of two grids a picture at the border of both gets.
        """
        low, high = _SCALE_STEP / 10, _LARGEST_SCALE
        while high - low >= _SCALE_STEP:
            middle = (low + high) / 2
            columns, rows = self._patches_at(middle, width), self._patches_at(middle, height)
            if columns * rows <= self._max_num_patches:
                low = middle
            else:
                high = middle
        return self._patches_at(low, width), self._patches_at(low, height)

    def _patches_at(self, scale: float, side: int) -> int:
        return max(1, ceil(side * scale / self._patch_size))

    def groups(self, batch: Sequence[Preprocessed]) -> list[list[int]]:
        """By number of patches: 14 × 18 and 18 × 14 go together, and nothing is padded."""
        by_length: dict[int, list[int]] = defaultdict(list)
        for position, pixels in enumerate(batch):
            by_length[pixels.shape[0] * pixels.shape[1]].append(position)
        return list(by_length.values())

    def tensors(self, batch: Sequence[Preprocessed], device: "torch.device") -> TensorsByName:
        import torch

        patches = torch.from_numpy(np.stack([self._patches(pixels) for pixels in batch]))
        grids = [(p.shape[0] // self._patch_size, p.shape[1] // self._patch_size) for p in batch]
        return {
            "pixel_values": self._normalisation.apply(patches.to(device)),
            "spatial_shapes": torch.tensor(grids),  # read on the CPU
        }

    def _patches(self, pixels: Preprocessed) -> NDArray[np.uint8]:
        """(height, width, 3) → (patches, patch_size² · 3), row by row."""
        size = self._patch_size
        height, width = pixels.shape[0] // size, pixels.shape[1] // size
        grid = pixels.reshape(height, size, width, size, 3).transpose(0, 2, 1, 3, 4)
        return grid.reshape(height * width, size * size * 3)


def picture_input(folder: Path, checkpoint: str, max_num_patches: int) -> PictureInput:
    """The recipe in the checkpoint's own picture settings."""
    return _siglip(folder, max_num_patches) or _of_transformers(folder, checkpoint, max_num_patches)


_PLAIN = {"do_resize": True, "do_rescale": True, "do_normalize": True}
_OTHER_STEPS = {"do_center_crop", "do_pad", "crop_size"}


def _siglip(folder: Path, max_num_patches: int) -> PictureInput | None:
    """Of settings as SigLIP's checkpoints have them; None where anything is otherwise.

    Read without transformers, whose image processors take a second to import.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file() or (folder / "processor_config.json").is_file():
        return None
    settings = read_json(path)
    kind = str(settings.get("image_processor_type")).removesuffix("Fast")
    if settings.keys() & _OTHER_STEPS or not settings.items() >= _PLAIN.items():
        return None
    try:
        resample = Image.Resampling(settings["resample"])
        normalisation = Normalisation.by(
            float(settings["rescale_factor"]), settings["image_mean"], settings["image_std"]
        )
        if kind == "Siglip2ImageProcessor":
            patch_size = int(settings["patch_size"])
            return NativeAspect(patch_size, max_num_patches, resample, normalisation)
        if kind == "SiglipImageProcessor" and settings["size"].keys() == {"height", "width"}:
            size = (int(settings["size"]["height"]), int(settings["size"]["width"]))
            return FixedSize(size, None, resample, normalisation)
    except (LookupError, TypeError, ValueError, AttributeError):
        pass  # transformers knows the other layouts, and what to say of those that nobody knows
    return None


def _of_transformers(folder: Path, checkpoint: str, max_num_patches: int) -> PictureInput:
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
    normalisation = Normalisation.of(processor)
    resample = Image.Resampling(processor.resample)
    if hasattr(processor, "max_num_patches"):
        return NativeAspect(processor.patch_size, max_num_patches, resample, normalisation)
    size, crop = processor.size, processor.crop_size
    if processor.do_resize and not processor.do_pad:
        if processor.do_center_crop and size.shortest_edge and not size.longest_edge:
            crop_size = (crop.height, crop.width)
            if max(crop_size) <= size.shortest_edge:
                return FixedSize(crop_size, size.shortest_edge, resample, normalisation)
        elif not processor.do_center_crop and size.height and size.width:
            return FixedSize((size.height, size.width), None, resample, normalisation)
    raise UnsupportedCheckpoint(
        f"{checkpoint} prepares pictures in a way that is not supported: size {size}, crop {crop}. "
        "Polyglance squashes to a size, or scales the shorter side and crops the middle."
    )


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode != "RGB":
        raise ValueError(f"The encoder takes upright RGB pictures, not {image.mode}.")
    return image
