"""A query through SigLIP's text tower in 8-bit integers.

It computes what the tower with these layers does, less what nobody asks for: only the last
position is pooled, so the last layer needs the keys and values of all positions and the rest of
that one.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from encoders.siglip.int8.layers import Int8Layer

POOLS_LAST_POSITION = ("siglip_text_model", "siglip2_text_model")
"""Of the kinds of text towers; CLIP's look for the end mark, and mask what follows each token."""


def text_pass_of(tower: nn.Module) -> "TextPass | None":
    """For a tower whose layers are in 8 bits; None for one that is not SigLIP's."""
    parts: Any = tower
    if parts.config.model_type not in POOLS_LAST_POSITION:
        return None
    return TextPass(tower, list(parts.encoder.layers))


class TextPass:
    """Its methods run with as many of torch's threads as the calling thread has set."""

    def __init__(self, tower: nn.Module, layers: Sequence[Int8Layer]) -> None:
        parts: Any = tower
        self._tokens: Tensor = parts.embeddings.token_embedding.weight
        self._positions: Tensor = parts.embeddings.position_embedding.weight
        self._layers, self._last = layers[:-1], layers[-1]
        self._norm, self._head = parts.final_layer_norm, parts.head

    def pooled(self, ids: Tensor) -> Tensor:
        """(n, length) token ids → (n, dim), not normalised."""
        batch, length = ids.shape
        flat = (self._tokens[ids] + self._positions[:length]).flatten(0, 1)
        for layer in self._layers:
            flat = layer.attended(flat, *layer.heads(flat, batch))
        query, key, value = self._last.heads(flat, batch)
        last = flat.view(batch, length, -1)[:, -1].contiguous()
        made: Tensor = self._head(
            self._norm(self._last.attended(last, query[:, :, -1:], key, value))
        )
        return made
