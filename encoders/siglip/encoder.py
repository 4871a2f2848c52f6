"""SigLIP 2, SigLIP and the CLIP family behind the Encoder protocol."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from platformdirs import user_cache_path

from encoders.checkpoints import LocatedCheckpoint
from encoders.checkpoints.digest import content_digest
from encoders.checkpoints.files import check_config, check_files
from encoders.config import EncoderConfig
from encoders.cores import Cores
from encoders.devices import INT8, choose_device, choose_dtype
from encoders.errors import EncoderError, UnsupportedCheckpoint, first_line
from encoders.probes import PROBE_TEXTS, probe_pictures
from encoders.protocol import Embeddings, EmbeddingSpace, Preprocessed, Preprocessor
from encoders.siglip.model import load_model
from encoders.siglip.pictures import NativeAspect, picture_input
from encoders.siglip.scores import background_cosines, sigmoid, softmax_bias
from encoders.siglip.text import text_input

if TYPE_CHECKING:
    import torch

    from encoders.siglip.int8 import Calibration, Ranges, TextPass

PREPROCESSING_VERSION = 1
"""Raise it when the same checkpoint gives other embeddings than before."""

LARGEST_BATCH = {"cuda": 512, "mps": 64, "cpu": 16}
"""Inputs in one forward pass: more no longer make it faster, cost memory and hold others up."""

LARGEST_PART = 4
"""Pictures or texts in one core's forward pass."""


class DualEncoder:
    """A picture tower and a text tower of one checkpoint; see the Encoder protocol."""

    def __init__(self, located: LocatedCheckpoint, config: EncoderConfig) -> None:
        folder, self._checkpoint = located.folder, located.checkpoint
        # One pass on the whole device at a time. On a CPU pictures go past it, core by core.
        self._lock = threading.RLock()
        self._device = choose_device(config.device)
        self._cores = Cores()
        self._largest_batch = LARGEST_BATCH.get(self._device.type, 64)
        dtype = choose_dtype(config.dtype, self._device)
        self.dtype_asked = config.dtype
        self._in_int8: tuple[bool, ...] = (False, False)
        self._int8_decided = False
        self._text_pass: TextPass | None = None
        """Instead of the text tower, where that runs in 8 bits."""
        with _damage_explained(self._checkpoint):
            check_config(folder, self._checkpoint, [path.name for path in folder.iterdir()])
            check_files(folder, self._checkpoint)
            self._picture_input = picture_input(folder, self._checkpoint, config.max_num_patches)
            self._model = load_model(folder, self._checkpoint, dtype)
            of_model = self._model.config
            self._text_input = text_input(folder, of_model.text_config, of_model.model_type)
        self._move_to_device()
        self._logit_scale = float(self._model.logit_scale.detach().float().exp())
        bias = getattr(self._model, "logit_bias", None)
        self._logit_bias = None if bias is None else float(bias.detach().float())
        self._space = self._embedding_space(located, config)

    def _embedding_space(self, located: LocatedCheckpoint, config: EncoderConfig) -> EmbeddingSpace:
        settings = {}
        if isinstance(self._picture_input, NativeAspect):
            settings["max_num_patches"] = config.max_num_patches
        cache_dir = config.cache_dir or user_cache_path("polyglance")
        digest = content_digest(
            located.folder, located.checkpoint, settings, cache_dir / "digests.json"
        )
        return EmbeddingSpace(
            checkpoint=located.checkpoint,
            revision=located.revision,
            dim=self._cores.together(lambda: self._text_embeddings([""])).shape[1],
            preprocessing_version=PREPROCESSING_VERSION,
            content_digest=digest,
        )

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    @property
    def precision(self) -> str:
        """What the towers compute in: "float32", "int8", "int8 (pictures), float32 (texts)", …"""
        own = str(self._model.dtype).removeprefix("torch.")
        of_pictures, of_texts = ("int8" if quick else own for quick in self._in_int8)
        if of_pictures == of_texts:
            return of_pictures
        return f"{of_pictures} (pictures), {of_texts} (texts)"

    @property
    def could_run_int8(self) -> bool:
        """Whether 8-bit arithmetic is wanted, and faster here, and can stand for both towers.

        No more once `run_int8` has decided, whichever way.
        """
        if (
            self._int8_decided
            or self.dtype_asked not in ("auto", INT8)
            or self._device.type != "cpu"
        ):
            return False
        from encoders.siglip.int8 import can_quantize, can_run_int8

        return (
            self.precision == "float32" and can_run_int8() and all(map(can_quantize, self._towers))
        )

    @property
    def _towers(self) -> tuple[Any, Any]:
        """The picture's and the text's."""
        return self._model.vision_model, self._model.text_model

    def calibrate_int8(
        self, pictures: Sequence[Preprocessed], texts: Sequence[str]
    ) -> "Calibration":
        """Try 8-bit arithmetic on these, against float32; the encoder itself stays as it is.

        Some dozens of each, such as people have and ask for. Only while `could_run_int8`.
        """
        from encoders.siglip.int8 import Calibration, TowerCalibration, agreement, watching

        # What every start is tested with has to be within the ranges too.
        pictures = [*pictures, *(self.preprocess(each) for each in probe_pictures())]
        texts = [*texts, *PROBE_TEXTS]
        picture_tower, text_tower = self._towers
        with self._alone():
            with watching(picture_tower) as picture_ranges:
                exact_pictures = self.encode_together(pictures)
            with watching(text_tower) as text_ranges:
                exact_texts = self._texts_in_turn(texts)
            with self._quantized(picture_tower, picture_ranges):
                quick_pictures = self.encode_together(pictures)
            with self._quantized(text_tower, text_ranges):
                quick_texts = self._texts_in_turn(texts)
        of_pictures = agreement(exact_pictures, quick_pictures, (exact_texts, exact_texts))
        as_run = quick_pictures if of_pictures.is_enough else exact_pictures
        of_texts = agreement(exact_texts, quick_texts, (exact_pictures, as_run), of_texts=True)
        return Calibration(
            TowerCalibration(picture_ranges, of_pictures), TowerCalibration(text_ranges, of_texts)
        )

    @contextmanager
    def _quantized(self, tower: Any, ranges: "Ranges") -> Iterator[None]:
        """Within it, the tower computes in 8 bits."""
        from encoders.siglip.int8 import quantized_layers, replace_layers

        layers = self._cores.together(lambda: quantized_layers(tower, ranges))
        own = replace_layers(tower, layers)
        try:
            yield
        finally:
            replace_layers(tower, own)

    def run_int8(self, calibration: "Calibration", *, gated: bool = True) -> None:
        """From now on compute in 8 bits in the towers that agree. Only while `could_run_int8`.

        gated: False for both towers, whatever the calibration found.
        """
        from encoders.siglip.int8 import quantized_layers, replace_layers, text_pass_of

        calibrated = (calibration.pictures, calibration.texts)
        in_int8 = tuple(not gated or each.agreement.is_enough for each in calibrated)
        made = [
            quantized_layers(tower, found.ranges, self._cores) if quick else None
            for tower, found, quick in zip(self._towers, calibrated, in_int8, strict=True)
        ]
        with self._alone():
            self._int8_decided, self._in_int8 = True, in_int8
            for tower, layers in zip(self._towers, made, strict=True):
                if layers is not None:
                    replace_layers(tower, layers)
            if in_int8[1]:
                self._text_pass = text_pass_of(self._towers[1])

    @property
    def notice(self) -> None:
        return None

    @property
    def ignores_case(self) -> bool:
        return self._text_input.ignores_case

    @property
    def preprocessor(self) -> Preprocessor:
        return self._picture_input

    @property
    def min_decode_side(self) -> int:
        return self._picture_input.min_decode_side

    def preprocess(self, image: Image.Image) -> Preprocessed:
        """uint8 of shape (height, width, 3), at the size that the model sees."""
        return self._picture_input.preprocess(image)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        return self.encode_preprocessed([self.preprocess(image) for image in images])

    def encode_preprocessed(self, batch: Sequence[Preprocessed]) -> Embeddings:
        cores = self._cores
        # A few pictures are sooner done by all cores together than by one each.
        if self._device.type != "cpu" or cores.count == 1 or len(batch) < cores.count:
            return self.encode_together(batch)
        size = min(-(-len(batch) // cores.count), LARGEST_PART)
        parts = [
            group[start : start + size]
            for group in self._picture_input.groups(batch)
            for start in range(0, len(group), size)
        ]

        def embed(part: Sequence[int]) -> Embeddings:
            return self._picture_embeddings([batch[position] for position in part])

        embeddings = np.empty((len(batch), self._space.dim), dtype=np.float32)
        for part, of_part in zip(parts, cores.map(embed, parts), strict=True):
            embeddings[part] = of_part
        return embeddings

    def encode_together(self, batch: Sequence[Preprocessed]) -> Embeddings:
        """As `encode_preprocessed`, all of the device at one pass after the other."""

        def embed(positions: Sequence[int]) -> Embeddings:
            return self._picture_embeddings([batch[position] for position in positions])

        groups = self._picture_input.groups(batch)
        with self._lock:
            return self._cores.together(lambda: self._in_batches(len(batch), groups, embed))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within it this thread has the towers to itself."""
        with self._lock, self._cores.halted():
            yield

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        cores = self._cores
        if self._device.type != "cpu" or cores.count == 1 or len(texts) < cores.count:
            return self._texts_in_turn(texts)
        size = min(-(-len(texts) // cores.count), LARGEST_PART)
        parts = [texts[start : start + size] for start in range(0, len(texts), size)]
        return np.concatenate(cores.map(self._text_embeddings, parts))

    def _texts_in_turn(self, texts: Sequence[str]) -> Embeddings:
        def embed(positions: Sequence[int]) -> Embeddings:
            return self._text_embeddings([texts[position] for position in positions])

        everything = [range(len(texts))]
        with self._lock:
            return self._cores.together(lambda: self._in_batches(len(texts), everything, embed))

    def text_warnings(self, text: str) -> list[str]:
        tokens, limit = self._text_input.count_tokens(text), self._text_input.max_tokens
        if tokens <= limit:
            return []
        return [
            f"The query has {tokens} tokens and the model reads the first {limit}; "
            "what comes after them is not searched for."
        ]

    def match_probability(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """The checkpoint's own sigmoid; for a softmax family one against 1,000 other pictures."""
        with self._lock:
            if self._logit_bias is None:
                self._logit_bias = softmax_bias(background_cosines(self), self._logit_scale)
        return sigmoid(cosines * np.float32(self._logit_scale) + np.float32(self._logit_bias))

    def _in_batches(
        self,
        count: int,
        groups: Sequence[Sequence[int]],
        embed: Callable[[Sequence[int]], Embeddings],
    ) -> Embeddings:
        """Embed inputs group by group, in halves when the device runs out of memory."""
        import torch

        embeddings = np.empty((count, self._space.dim), dtype=np.float32)
        for group in groups:
            start = 0
            while start < len(group):
                part = group[start : start + self._largest_batch]
                try:
                    embeddings[list(part)] = embed(part)
                    start += len(part)
                    continue
                except torch.OutOfMemoryError as error:
                    if len(part) == 1:
                        raise self._no_memory() from error
                # Outside the handler, whose traceback would keep the failed batch alive.
                self._largest_batch = len(part) // 2
                torch.cuda.empty_cache()
        return embeddings

    def _move_to_device(self) -> None:
        import torch

        try:
            self._model.to(self._device)
        except torch.OutOfMemoryError as error:
            raise self._no_memory() from error

    def _no_memory(self) -> EncoderError:
        return EncoderError(
            f"{self._checkpoint} needs more memory than {self._device} has free. Close other "
            "programs, choose a smaller checkpoint, or set the device to cpu."
        )

    def _picture_embeddings(self, batch: Sequence[Preprocessed]) -> Embeddings:
        arguments = self._picture_input.tensors(batch, self._device)
        pixels = arguments["pixel_values"].to(self._model.dtype)
        arguments = {**arguments, "pixel_values": pixels}
        return self._forward(lambda: self._model.get_image_features(**arguments).pooler_output)

    def _text_embeddings(self, texts: Sequence[str]) -> Embeddings:
        import torch

        arguments = {
            name: torch.from_numpy(array).to(self._device)
            for name, array in self._text_input.arrays(texts).items()
        }
        quick = self._text_pass
        if quick is None:
            return self._forward(lambda: self._model.get_text_features(**arguments).pooler_output)
        return self._forward(lambda: quick.pooled(arguments["input_ids"]))

    def _forward(self, tower: Callable[[], "torch.Tensor"]) -> Embeddings:
        import torch

        with torch.inference_mode():
            normalised = torch.nn.functional.normalize(tower().float(), dim=-1)
            embeddings: Embeddings = normalised.cpu().numpy()
        if not np.isfinite(embeddings).all():
            raise EncoderError(
                f"{self._checkpoint} gave numbers that are not finite in "
                f"{self._model.dtype}. Set the encoder's dtype to float32."
            )
        return embeddings


@contextmanager
def _damage_explained(checkpoint: str) -> Iterator[None]:
    """Name the checkpoint where a library chokes on one of its files."""
    from safetensors import SafetensorError

    try:
        yield
    except ImportError as error:
        raise EncoderError(
            f"transformers can't be imported whole ({first_line(error.__cause__ or error)}). "
            "Mostly that is a torchvision of another version than torch; "
            "Polyglance needs none: pip uninstall torchvision."
        ) from error
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,
        SafetensorError,
    ) as error:
        raise UnsupportedCheckpoint(
            f"{checkpoint} can't be loaded ({first_line(error)}). "
            "Download it again, or choose another one."
        ) from error
