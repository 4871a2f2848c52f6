"""A query through SigLIP's text tower in 8-bit integers, on one core or shared between cores.

It computes what the tower with these layers does, less what nobody asks for: only the last
position is pooled, so the last layer needs the keys and values of all positions and the rest of
that one.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from encoders.cores import Cores
from encoders.siglip.int8.layers import Int8Layer

FEWEST_TOKENS = 16
"""Of a text, for a core: with fewer it only waits for its weights."""


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

    def together(self, ids: Tensor) -> Tensor:
        """(n, length) token ids → (n, dim), not normalised."""
        batch, length = ids.shape
        flat = (self._tokens[ids] + self._positions[:length]).flatten(0, 1)
        for layer in self._layers:
            flat = layer.attended(flat, *layer.heads(flat, batch))
        query, key, value = self._last.heads(flat, batch)
        last = flat.view(batch, length, -1)[:, -1].contiguous()
        return self._pooled(self._last.attended(last, query[:, :, -1:], key, value))

    def shared(self, ids: Tensor, cores: Cores) -> Tensor:
        """The same of one text, (1, length): each core takes some of its positions.

        They wait for each other once a layer, for keys and values. A core that does something
        else meanwhile holds the others up, but nothing spins.
        """
        length = ids.shape[1]
        count = max(1, min(cores.count, length // FEWEST_TOKENS))
        shares = torch.arange(length).tensor_split(count)
        team = _Team(count)

        def take_part(number: int) -> Tensor | None:
            with torch.inference_mode(), team.all_or_none():
                return self._part(ids[0], shares[number], number, team)
            return None

        pooled = cores.map(take_part, range(count))[-1]
        assert pooled is not None
        return pooled

    def _part(self, ids: Tensor, share: Tensor, number: int, team: "_Team") -> Tensor | None:
        """Of the positions in `share`; (1, dim) from the part that has the last one."""
        flat = self._tokens[ids[share]] + self._positions[share]
        for layer in self._layers:
            query, key, value = layer.heads(flat, 1)
            flat = layer.attended(flat, query, *team.gathered(number, key, value))
        query, key, value = self._last.heads(flat, 1)
        key, value = team.gathered(number, key, value)
        if number < team.count - 1:
            return None
        last = flat[-1:].contiguous()
        return self._pooled(self._last.attended(last, query[:, :, -1:], key, value))

    def _pooled(self, last: Tensor) -> Tensor:
        made: Tensor = self._head(self._norm(last))
        return made


class _Team:
    """Parts of one pass, which wait for each other's keys and values."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._all_there = threading.Barrier(count)
        # Two, in turn: who is slow still reads a layer's while the others are at the next.
        self._made: tuple[dict[int, tuple[Tensor, Tensor]], ...] = ({}, {})
        self._turns = [0] * count

    def gathered(self, number: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Of part `number`, (1, heads, tokens, width) → of all parts, in their order."""
        made = self._made[self._turns[number] % 2]
        self._turns[number] += 1
        made[number] = (key, value)
        self._all_there.wait()
        keys, values = zip(*(made[part] for part in range(self.count)), strict=True)
        return torch.cat(keys, dim=2), torch.cat(values, dim=2)

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Around a part: where it fails nobody waits for it, and it alone says why."""
        try:
            yield
        except threading.BrokenBarrierError:
            return
        except BaseException:
            self._all_there.abort()
            raise
