"""Pictures and texts through a model's towers, in batches that its device has room for."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from encoders.cores import Cores, Work, other_work
from encoders.errors import EncoderError
from encoders.protocol import Embeddings, Preprocessed
from encoders.siglip.model import DualModel
from encoders.siglip.pictures import PictureInput
from encoders.siglip.text import TextInput

if TYPE_CHECKING:
    import torch

LARGEST_BATCH = {"cuda": 512, "mps": 64, "cpu": 16}
"""Inputs in one forward pass: more no longer make it faster, cost memory and hold others up."""

LARGEST_PART = 4
"""Pictures or texts in one core's forward pass."""

Embed = Callable[[Sequence[int]], Embeddings]
"""Positions in what is to be embedded → their embeddings."""


class Passes:
    """All methods may be called from many threads at once."""

    def __init__(
        self,
        model: DualModel,
        picture_input: PictureInput,
        text_input: TextInput,
        device: "torch.device",
        checkpoint: str,
    ) -> None:
        """checkpoint: what messages call it. Raises EncoderError."""
        self._model, self._device, self._checkpoint = model, device, checkpoint
        self._picture_input, self._text_input = picture_input, text_input
        # One pass on the whole device at a time. On a CPU pictures go past it, core by core.
        self._lock = threading.RLock()
        self.cores = Cores()
        self._under_way = Work()
        self._largest_batch = LARGEST_BATCH.get(device.type, 64)
        self._move_to_device()

    def pictures(self, batch: Sequence[Preprocessed]) -> Embeddings:
        """(n, dim). On a CPU its cores take them side by side."""
        return self._quickest(
            len(batch), self._picture_input.groups(batch), self._pictures_at(batch)
        )

    def pictures_together(self, batch: Sequence[Preprocessed]) -> Embeddings:
        """As `pictures`, all of the device at one pass after the other."""
        return self._together(
            len(batch), self._picture_input.groups(batch), self._pictures_at(batch)
        )

    def texts(self, texts: Sequence[str]) -> Embeddings:
        """(n, dim). On a CPU its cores take them side by side."""
        return self._quickest(len(texts), [range(len(texts))], self._texts_at(texts))

    def texts_together(self, texts: Sequence[str]) -> Embeddings:
        """As `texts`, all of the device at one pass after the other."""
        return self._together(len(texts), [range(len(texts))], self._texts_at(texts))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it this thread has the towers to itself."""
        with self._lock, self.cores.halted():
            yield

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Within it no other thread has the whole device."""
        with self._lock:
            yield

    def _quickest(self, count: int, groups: Sequence[Sequence[int]], embed: Embed) -> Embeddings:
        if self._device.type != "cpu" or self.cores.count == 1:
            return self._together(count, groups, embed)
        with self._under_way.going_on():
            # Fewer than there are cores are sooner done by all of them, if they are free.
            free = self._under_way.count == 1 and not other_work.count
            if free and count < self.cores.count:
                return self._together(count, groups, embed)
            size = -(-count // self.cores.count) if free else count
            return self._side_by_side(min(size, LARGEST_PART), count, groups, embed)

    def _side_by_side(
        self, size: int, count: int, groups: Sequence[Sequence[int]], embed: Embed
    ) -> Embeddings:
        parts = [
            group[start : start + size] for group in groups for start in range(0, len(group), size)
        ]
        embeddings = np.empty((count, self._model.dim), dtype=np.float32)
        for part, of_part in zip(parts, self.cores.map(embed, parts), strict=True):
            embeddings[list(part)] = of_part
        return embeddings

    def _together(self, count: int, groups: Sequence[Sequence[int]], embed: Embed) -> Embeddings:
        with self._lock:
            return self.cores.together(lambda: self._in_batches(count, groups, embed))

    def _in_batches(self, count: int, groups: Sequence[Sequence[int]], embed: Embed) -> Embeddings:
        """Embed inputs group by group, in halves when the device runs out of memory."""
        import torch

        embeddings = np.empty((count, self._model.dim), dtype=np.float32)
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

    def _pictures_at(self, batch: Sequence[Preprocessed]) -> Embed:
        def embed(positions: Sequence[int]) -> Embeddings:
            chosen = [batch[position] for position in positions]
            arguments = self._picture_input.tensors(chosen, self._device)
            pixels = arguments["pixel_values"].to(self._model.dtype)
            arguments = {**arguments, "pixel_values": pixels}
            return self._normalised(lambda: self._model.pictures(**arguments))

        return embed

    def _texts_at(self, texts: Sequence[str]) -> Embed:
        import torch

        def embed(positions: Sequence[int]) -> Embeddings:
            arrays = self._text_input.arrays([texts[position] for position in positions])
            arguments = {
                name: torch.from_numpy(array).to(self._device) for name, array in arrays.items()
            }
            return self._normalised(lambda: self._model.texts(**arguments))

        return embed

    def _normalised(self, tower: Callable[[], "torch.Tensor"]) -> Embeddings:
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
