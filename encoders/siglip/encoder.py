"""SigLIP 2, SigLIP and the CLIP family behind the Encoder protocol."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from platformdirs import user_cache_path

from encoders.checkpoints import LocatedCheckpoint
from encoders.checkpoints.digest import content_digest
from encoders.checkpoints.files import check_config, check_files, read_json
from encoders.config import EncoderConfig
from encoders.devices import INT8, choose_device, choose_dtype
from encoders.errors import EncoderError, UnsupportedCheckpoint, first_line
from encoders.probes import PROBE_TEXTS, probe_pictures
from encoders.protocol import Embeddings, EmbeddingSpace, Preprocessed, Preprocessor
from encoders.siglip.model import load_model
from encoders.siglip.passes import Passes
from encoders.siglip.pictures import NativeAspect, picture_input
from encoders.siglip.scores import background_cosines, sigmoid, softmax_bias
from encoders.siglip.text import text_input

if TYPE_CHECKING:
    from encoders.siglip.int8 import Calibration, Ranges

PREPROCESSING_VERSION = 1
"""Raise it when the same checkpoint gives other embeddings than before."""


class DualEncoder:
    """A picture tower and a text tower of one checkpoint; see the Encoder protocol."""

    def __init__(self, located: LocatedCheckpoint, config: EncoderConfig) -> None:
        folder, checkpoint = located.folder, located.checkpoint
        device = choose_device(config.device)
        self._on_cpu = device.type == "cpu"
        self.dtype_asked = config.dtype
        self._in_int8: tuple[bool, ...] = (False, False)
        self._int8_decided = False
        with _damage_explained(checkpoint):
            check_config(folder, checkpoint, [path.name for path in folder.iterdir()])
            check_files(folder, checkpoint)
            self._picture_input = picture_input(folder, checkpoint, config.max_num_patches)
            self._model = load_model(folder, checkpoint, choose_dtype(config.dtype, device))
            model_type = str(read_json(folder / "config.json")["model_type"])
            self._text_input = text_input(folder, model_type, self._model.max_tokens)
        self._passes = Passes(
            self._model, self._picture_input, self._text_input, device, checkpoint
        )
        self._logit_scale = float(self._model.logit_scale.detach().float().exp())
        bias = self._model.logit_bias
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
            dim=self._model.dim,
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
        if self._int8_decided or self.dtype_asked not in ("auto", INT8) or not self._on_cpu:
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
        with self._passes.alone():
            with watching(picture_tower) as picture_ranges:
                exact_pictures = self._passes.pictures_together(pictures)
            with watching(text_tower) as text_ranges:
                exact_texts = self._passes.texts_together(texts)
            with self._quantized(picture_tower, picture_ranges):
                quick_pictures = self._passes.pictures_together(pictures)
            with self._quantized(text_tower, text_ranges):
                quick_texts = self._passes.texts_together(texts)
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

        layers = self._passes.cores.together(lambda: quantized_layers(tower, ranges))
        own = replace_layers(tower, layers)
        try:
            yield
        finally:
            replace_layers(tower, own)

    def run_int8(self, calibration: "Calibration", *, gated: bool = True) -> None:
        """From now on compute in 8 bits in the towers that agree. Only while `could_run_int8`.

        gated: False for both towers, whatever the calibration found.
        """
        from encoders.siglip.int8 import quantized_layers, replace_layers

        calibrated = (calibration.pictures, calibration.texts)
        in_int8 = tuple(not gated or each.agreement.is_enough for each in calibrated)
        made = [
            quantized_layers(tower, found.ranges, self._passes.cores) if quick else None
            for tower, found, quick in zip(self._towers, calibrated, in_int8, strict=True)
        ]
        with self._passes.alone():
            self._int8_decided, self._in_int8 = True, in_int8
            for tower, layers in zip(self._towers, made, strict=True):
                if layers is not None:
                    replace_layers(tower, layers)

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
        return self._passes.pictures(batch)

    def encode_together(self, batch: Sequence[Preprocessed]) -> Embeddings:
        """As `encode_preprocessed`, all of the device at one pass after the other."""
        return self._passes.pictures_together(batch)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return self._passes.texts(texts)

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
        if self._logit_bias is None:
            with self._passes.in_turn():  # for one to measure it; later nobody waits here
                if self._logit_bias is None:
                    self._logit_bias = softmax_bias(background_cosines(self), self._logit_scale)
        return sigmoid(cosines * np.float32(self._logit_scale) + np.float32(self._logit_bias))


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
