"""A tower's transformer layers in 8-bit integers: static quantization with SmoothQuant.

For CPUs with VNNI, whose integer products are some four times as fast as float32. What flows
into each matrix product is watched on real pictures or texts first; from its range follow the
scales, fixed from then on (*static*). A channel that is far larger than the others would leave
them few of the 256 steps, so half of what it exceeds them by (in the exponent) is moved into the
weights, where it costs nothing (SmoothQuant, Xiao et al., 2023).

One layer here is four integer products (query, key and value as one); everything between them
is folded into what stands there anyway: smoothing, scale and zero point into the LayerNorm's or
the value's weights, GELU and the next scale into the first product of the MLP, the residual sums
into the products before them. Softmax and LayerNorm stay in float32, as do the patch embedding
and the pooling head.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from encoders.cores import Cores

SMOOTHING = 0.5
"""SmoothQuant's alpha: how much of an activation's spread goes into the weights."""

STEPS = 255
"""Activations are unsigned 8-bit numbers."""

SIGN = 128
"""What is between them and signed ones, which torch makes of floats in a third of the time."""

WEIGHT_STEPS = 127
"""Weights are signed, one scale an output channel."""

LEAST = 1e-5

INPUTS = ("attention", "out", "mlp", "fc2")
"""The four products of a layer, by what flows into them."""

Ranges = dict[str, NDArray[np.float32]]
"""`<layer>.<input>` → (2, channels): the least and the greatest value of each channel."""


def can_run_int8() -> bool:
    """Whether this CPU multiplies 8-bit integers faster than float32."""
    capabilities = torch.cpu.get_capabilities()
    fast = any(capabilities.get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))
    return fast and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def can_quantize(tower: nn.Module) -> bool:
    """Whether the tower's layers are built as SigLIP's are, with an activation that is known."""
    layers = _layers(tower)
    return bool(layers) and all(_gelu_kind(layer) is not None for layer in layers)


def _layers(tower: nn.Module) -> list[nn.Module]:
    encoder = getattr(tower, "encoder", None)
    return list(getattr(encoder, "layers", []))


def _gelu_kind(layer: nn.Module) -> str | None:
    """oneDNN's name of the layer's activation; None for another one or another kind of layer."""
    parts = ("layer_norm1", "layer_norm2", "self_attn", "mlp")
    if not all(hasattr(layer, part) for part in parts):
        return None
    activation: Any = getattr(layer.mlp, "activation_fn", None)
    if isinstance(activation, nn.GELU):
        return activation.approximate
    return {"GELUTanh": "tanh", "GELUActivation": "none"}.get(type(activation).__name__)


@contextmanager
def watching(tower: nn.Module) -> Iterator[Ranges]:
    """Within it, what flows through the float32 tower widens the ranges."""
    ranges: Ranges = {}
    handles = []

    def watch(key: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            flat = inputs[0].detach().reshape(-1, inputs[0].shape[-1])
            least, greatest = flat.amin(0).numpy(), flat.amax(0).numpy()
            if key in ranges:
                least = np.minimum(least, ranges[key][0])
                greatest = np.maximum(greatest, ranges[key][1])
            ranges[key] = np.stack([least, greatest])

        handles.append(module.register_forward_pre_hook(hook))

    for number, layer in enumerate(_layers(tower)):
        parts: Any = layer
        watch(f"{number}.attention", parts.self_attn.q_proj)
        watch(f"{number}.out", parts.self_attn.out_proj)
        watch(f"{number}.mlp", parts.mlp.fc1)
        watch(f"{number}.fc2", parts.mlp.fc2)
    try:
        yield ranges
    finally:
        for handle in handles:
            handle.remove()


def replace_layers(tower: nn.Module, layers: nn.ModuleList) -> nn.ModuleList:
    """Have the tower run on these layers; returns those that it had."""
    encoder: Any = tower.encoder
    own: nn.ModuleList = encoder.layers
    encoder.layers = layers
    return own


def quantized_layers(
    tower: nn.Module, ranges: Mapping[str, NDArray[np.float32]], cores: Cores | None = None
) -> nn.ModuleList:
    """The tower's layers in 8-bit integers; the tower itself is left as it is.

    ranges: from `watching`. cores: that share the work. Raises KeyError where they are another
    tower's.
    """
    layers = _layers(tower)

    def quantized(number: int) -> Int8Layer:
        of_layer = {name: torch.from_numpy(ranges[f"{number}.{name}"]) for name in INPUTS}
        with torch.inference_mode():
            return Int8Layer(layers[number], of_layer)

    numbers = range(len(layers))
    made = (
        [quantized(number) for number in numbers]
        if cores is None
        else cores.map(quantized, numbers)
    )
    return nn.ModuleList(made)


@dataclass(frozen=True)
class _Steps:
    """Real value = scale · (step − zero)."""

    scale: float
    zero: int

    @classmethod
    def covering(cls, least: Tensor, greatest: Tensor) -> "_Steps":
        low, high = min(float(least.min()), 0.0), max(float(greatest.max()), 0.0)
        scale = max(high - low, LEAST) / STEPS
        return cls(scale, round(-low / scale))


class _Product:
    """x · Wᵀ + b in integers. w: (out, in) float32."""

    def __init__(self, weight: Tensor, bias: Tensor, steps: _Steps) -> None:
        self.steps = steps
        self.bias = bias.contiguous()
        self.scales = (_largest(weight, 1) / WEIGHT_STEPS).clamp_min(LEAST / WEIGHT_STEPS)
        rounded = (weight / self.scales[:, None]).round_().to(torch.int8)
        self.zeros = torch.zeros(len(weight), dtype=torch.int32)
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)

    def _inputs(self, x: Tensor) -> tuple[Any, ...]:
        return (x, self.steps.scale, self.steps.zero, self.packed, self.scales, self.zeros)

    def plain(self, x: Tensor) -> Tensor:
        """(n, in) uint8 → (n, out) float32."""
        made: Tensor = torch.ops.onednn.qlinear_pointwise(
            *self._inputs(x), self.bias, 1.0, 0, torch.float32, "none", [], ""
        )
        return made

    def with_gelu(self, x: Tensor, kind: str, out: _Steps) -> Tensor:
        """(n, in) uint8 → (n, out) uint8 in the steps `out`."""
        made: Tensor = torch.ops.onednn.qlinear_pointwise(
            *self._inputs(x), self.bias, out.scale, out.zero, torch.uint8, "gelu", [], kind
        )
        return made

    def added_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """(n, in) uint8 → residual + product, (n, out) float32; `residual` is overwritten."""
        output = (1.0, 0, torch.float32)
        added: tuple[Any, ...] = (1.0, 0, "sum", 1.0, "none", [], "")
        made: Tensor = torch.ops.onednn.qlinear_pointwise.binary(
            *self._inputs(x), residual, self.bias, *output, *added
        )
        return made


class Int8Layer(nn.Module):
    """One transformer layer; called as the layer that it stands for."""

    def __init__(self, layer: nn.Module, ranges: Mapping[str, Tensor]) -> None:
        super().__init__()
        parts: Any = layer
        attention = parts.self_attn
        self._heads, self._scale = attention.num_heads, attention.scale
        self._gelu = str(_gelu_kind(layer))
        out_weight = attention.out_proj.weight.float()
        value_weight, value_bias = attention.v_proj.weight.float(), attention.v_proj.bias.float()

        # Attention mixes the values' channels each for itself: smoothing, scale and zero point
        # of what it gives may as well be in the values. A mixture's shares add up to 1.
        smooth, out_steps = _smoothed(ranges["out"], out_weight)
        value_weight = value_weight / (smooth * out_steps.scale)[:, None]
        value_bias = value_bias / (smooth * out_steps.scale) + (out_steps.zero - SIGN)
        self._out = _Product(out_weight * smooth, attention.out_proj.bias.float(), out_steps)

        query_key = [attention.q_proj, attention.k_proj]
        weight = torch.cat([*(each.weight.float() for each in query_key), value_weight])
        bias = torch.cat([*(each.bias.float() for each in query_key), value_bias])
        # The values are in steps now, far larger than queries and keys: what a channel weighs
        # is asked of the weights as they were.
        as_they_were = [each.weight.float() for each in (*query_key, attention.v_proj)]
        smooth, steps = _smoothed(ranges["attention"], *as_they_were)
        self._norm1 = _StepNorm(parts.layer_norm1, smooth, steps)
        self._qkv = _Product(weight * smooth, bias, steps)

        fc1_weight = parts.mlp.fc1.weight.float()
        smooth, steps = _smoothed(ranges["mlp"], fc1_weight)
        self._norm2 = _StepNorm(parts.layer_norm2, smooth, steps)
        self._fc1 = _Product(fc1_weight * smooth, parts.mlp.fc1.bias.float(), steps)
        inner = _Steps.covering(*ranges["fc2"])
        self._fc2 = _Product(parts.mlp.fc2.weight.float(), parts.mlp.fc2.bias.float(), inner)

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> Tensor:
        """(batch, tokens, channels) → the same."""
        batch, tokens, channels = hidden_states.shape
        # The sums are made in place, and the caller's own is not ours to change. Row by row, which
        # the product takes for granted: what the patch embedding makes of one picture alone is not.
        flat = hidden_states.reshape(-1, channels).clone(memory_format=torch.contiguous_format)
        query, key, value = self.heads(flat, batch)
        flat = self.attended(flat, query, key, value, attention_mask)
        return flat.view(batch, tokens, channels)

    def heads(self, flat: Tensor, batch: int) -> Tensor:
        """(batch · tokens, channels) → query, key and value, each (batch, heads, tokens, width)."""
        made = self._qkv.plain(self._norm1(flat))
        return made.view(batch, len(flat) // batch, 3, self._heads, -1).permute(2, 0, 3, 1, 4)

    def attended(
        self,
        flat: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """What the layer makes of the tokens in `flat`, whose queries these are; overwrites it.

        Keys and values may be of more tokens.
        """
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, scale=self._scale
        )
        mixed = mixed.transpose(1, 2).reshape(flat.shape)
        flat = self._out.added_to(flat, _as_steps(mixed))
        inner = self._fc1.with_gelu(self._norm2(flat), self._gelu, self._fc2.steps)
        return self._fc2.added_to(flat, inner)


class _StepNorm:
    """A LayerNorm that gives what the next product takes in: smoothed, in steps."""

    def __init__(self, norm: nn.LayerNorm, smooth: Tensor, steps: _Steps) -> None:
        self._shape, self._eps = norm.normalized_shape, norm.eps
        self._weight = norm.weight.float() / (smooth * steps.scale)
        self._bias = norm.bias.float() / (smooth * steps.scale) + (steps.zero - SIGN)

    def __call__(self, x: Tensor) -> Tensor:
        return _as_steps(functional.layer_norm(x, self._shape, self._weight, self._bias, self._eps))


def _as_steps(x: Tensor) -> Tensor:
    """Steps less SIGN → the nearest steps; `x` is overwritten."""
    signed = x.round_().clamp_(-SIGN, STEPS - SIGN).to(torch.int8)
    return signed.view(torch.uint8).bitwise_xor_(SIGN)


def _largest(x: Tensor, axis: int) -> Tensor:
    """The largest magnitude along the axis, without a copy of what may be large."""
    return torch.maximum(x.amax(axis), -x.amin(axis))


def _smoothed(ranges: Tensor, *weights: Tensor) -> tuple[Tensor, _Steps]:
    """What each channel that flows in is divided by, and the steps of what is left.

    weights: of what it flows into, each (out, channels).
    """
    largest = _largest(ranges, 0).clamp_min(LEAST)
    weighed = torch.stack([_largest(weight, 0) for weight in weights]).amax(0).clamp_min(LEAST)
    smooth = largest**SMOOTHING / weighed ** (1 - SMOOTHING)
    smooth = smooth.clamp_min(LEAST)
    return smooth, _Steps.covering(ranges[0] / smooth, ranges[1] / smooth)
