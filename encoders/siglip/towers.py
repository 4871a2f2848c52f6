"""SigLIP's and SigLIP 2's two towers.

transformers has them as well, and imports for seconds what training and writing text could need:
whoever types one query would wait for that. These hold the checkpoint's tensors under the
checkpoint's own names, and the tests hold what they compute to what transformers' classes do.

A picture: patches with their positions, transformer layers, and one learned query (the probe)
that attends to all patches. A text: tokens with their positions, layers without a mask, and the
last position. (Zhai et al., 2023, arXiv:2303.15343; Tschannen et al., 2025, arXiv:2502.14786.)
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from encoders.errors import UnsupportedCheckpoint

ACTIVATIONS = {"gelu_pytorch_tanh": "tanh", "gelu": "none"}
"""A configuration's name → how torch's GELU is approximated."""


@dataclass(frozen=True)
class TowerShape:
    """A tower's part of config.json; what that leaves out is as in B/16."""

    width: int
    inner: int
    layers: int
    heads: int
    activation: str
    eps: float

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "TowerShape":
        """Raises UnsupportedCheckpoint."""
        activation = str(settings.get("hidden_act", "gelu_pytorch_tanh"))
        shape = cls(
            width=int(settings.get("hidden_size", 768)),
            inner=int(settings.get("intermediate_size", 3072)),
            layers=int(settings.get("num_hidden_layers", 12)),
            heads=int(settings.get("num_attention_heads", 12)),
            activation=ACTIVATIONS.get(activation, ""),
            eps=float(settings.get("layer_norm_eps", 1e-6)),
        )
        if not shape.activation or shape.width % shape.heads:
            raise UnsupportedCheckpoint(
                f"config.json asks for the activation {activation!r} and {shape.heads} heads in "
                f"{shape.width} channels; SigLIP's towers have {' or '.join(ACTIVATIONS)}, and "
                "heads of equal width."
            )
        return shape


class TwoTowers(nn.Module):
    """A whole checkpoint. Made without memory for its weights, which `load_model` puts in."""

    def __init__(self, config: dict[str, Any]) -> None:
        """config: the content of config.json. Raises UnsupportedCheckpoint."""
        super().__init__()
        self.text_model = TextTower(dict(config.get("text_config", {})))
        vision = dict(config.get("vision_config", {}))
        native_aspect = config.get("model_type") == "siglip2"
        self.vision_model = PictureTower(vision, native_aspect=native_aspect)
        self.logit_scale = _empty(1)
        self.logit_bias = _empty(1)
        self.max_tokens = self.text_model.max_tokens
        self.dim = self.text_model.head.out_features

    @property
    def dtype(self) -> torch.dtype:
        return self.logit_scale.dtype

    def pictures(self, **arguments: Tensor) -> Tensor:
        """A PictureInput's tensors → (n, dim), not normalised."""
        made: Tensor = self.vision_model(**arguments)
        return made

    def texts(self, **arguments: Tensor) -> Tensor:
        """A TextInput's arrays → (n, dim), not normalised."""
        made: Tensor = self.text_model(**arguments)
        return made


class TextTower(nn.Module):
    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        shape = TowerShape.of(settings)
        self.max_tokens = int(settings.get("max_position_embeddings", 64))
        dim = int(settings.get("projection_size") or shape.width)
        self.embeddings: Any = nn.Module()
        self.embeddings.token_embedding = _Table(
            int(settings.get("vocab_size", 32000)), shape.width
        )
        self.embeddings.position_embedding = _Table(self.max_tokens, shape.width)
        self.encoder = _Layers(shape)
        self.final_layer_norm = _norm(shape)
        self.head = _linear(shape.width, dim)

    def forward(self, *, input_ids: Tensor) -> Tensor:
        """(n, length) → (n, dim).

        Only the last position is pooled, so the last layer needs keys and values of all of them
        and the rest of that one.
        """
        batch, length = input_ids.shape
        tokens = self.embeddings.token_embedding.weight[input_ids]
        flat = (tokens + self.embeddings.position_embedding.weight[:length]).flatten(0, 1)
        *layers, last = list[Any](self.encoder.layers)
        for layer in layers:
            flat = layer.attended(flat, *layer.heads(flat, batch))
        query, key, value = last.heads(flat, batch)
        ends = flat.view(batch, length, -1)[:, -1].contiguous()
        made: Tensor = self.head(
            self.final_layer_norm(last.attended(ends, query[:, :, -1:], key, value))
        )
        return made


class PictureTower(nn.Module):
    def __init__(self, settings: dict[str, Any], *, native_aspect: bool) -> None:
        super().__init__()
        shape = TowerShape.of(settings)
        if not settings.get("vision_use_head", True):
            raise UnsupportedCheckpoint(
                "config.json says that the picture tower has no head (vision_use_head), so it "
                "gives no embedding of a whole picture."
            )
        embeddings = PatchGrids if native_aspect else FixedGrid
        self.embeddings = embeddings(settings, shape.width)
        self.encoder = _Layers(shape)
        self.post_layernorm = _norm(shape)
        self.head = PoolingHead(shape)

    def forward(self, **arguments: Tensor) -> Tensor:
        """→ (n, dim)."""
        hidden = self.embeddings(**arguments)
        batch, tokens, width = hidden.shape
        # What a convolution gives lies channel by channel; products take rows for granted.
        flat = hidden.reshape(-1, width).contiguous()
        for layer in list[Any](self.encoder.layers):
            flat = layer.attended(flat, *layer.heads(flat, batch))
        made: Tensor = self.head(self.post_layernorm(flat).view(batch, tokens, width))
        return made


class FixedGrid(nn.Module):
    """Pictures of one size → patches with their positions."""

    def __init__(self, settings: dict[str, Any], width: int) -> None:
        super().__init__()
        patch = int(settings.get("patch_size", 16))
        side = int(settings.get("image_size", 224)) // patch
        channels = int(settings.get("num_channels", 3))
        self.patch_embedding = nn.Conv2d(channels, width, patch, stride=patch, device="meta")
        self.position_embedding = _Table(side * side, width)

    def forward(self, *, pixel_values: Tensor) -> Tensor:
        """(n, 3, height, width) → (n, patches, width)."""
        patches: Tensor = self.patch_embedding(pixel_values)
        return patches.flatten(2).transpose(1, 2) + self.position_embedding.weight


class PatchGrids(nn.Module):
    """NaFlex: pictures of equally many patches, each in its own grid."""

    def __init__(self, settings: dict[str, Any], width: int) -> None:
        super().__init__()
        patch = int(settings.get("patch_size", 16))
        channels = int(settings.get("num_channels", 3))
        self.patch_embedding = _linear(channels * patch * patch, width)
        self.position_embedding = _Table(int(settings.get("num_patches", 256)), width)

    def forward(self, *, pixel_values: Tensor, spatial_shapes: Tensor) -> Tensor:
        """(n, patches, 3 · patch_size²) and (n, 2) rows and columns → (n, patches, width)."""
        grids = [(int(rows), int(columns)) for rows, columns in spatial_shapes.tolist()]
        positions = {grid: self._positions(*grid) for grid in set(grids)}
        patches: Tensor = self.patch_embedding(pixel_values)
        return patches + torch.stack([positions[grid] for grid in grids])

    def _positions(self, rows: int, columns: int) -> Tensor:
        """(rows · columns, width): those that were learned on a square, stretched."""
        learned = self.position_embedding.weight
        side = round(len(learned) ** 0.5)
        # In float32: torch has no smoothing for 16 bits on every device.
        square = learned.float().view(side, side, -1).permute(2, 0, 1)[None]
        stretched = functional.interpolate(
            square, size=(rows, columns), mode="bilinear", align_corners=False, antialias=True
        )
        return stretched[0].flatten(1).T.to(learned.dtype)


class Layer(nn.Module):
    """One transformer layer: attention, then an MLP, each after a LayerNorm and added."""

    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.layer_norm1, self.layer_norm2 = _norm(shape), _norm(shape)
        self.self_attn = Attention(shape)
        self.mlp = Mlp(shape)

    def heads(self, flat: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """(batch · tokens, width) → query, key and value, each (batch, heads, tokens, part)."""
        attention = self.self_attn
        normed = self.layer_norm1(flat)
        shape = (batch, len(flat) // batch, attention.num_heads, -1)
        query, key, value = (
            project(normed).view(shape).transpose(1, 2)
            for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        return query, key, value

    def attended(self, flat: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What the layer makes of the tokens in `flat`, whose queries these are.

        Keys and values may be of more tokens.
        """
        mixed = functional.scaled_dot_product_attention(query, key, value)
        flat = flat + self.self_attn.out_proj(mixed.transpose(1, 2).reshape(flat.shape))
        made: Tensor = flat + self.mlp(self.layer_norm2(flat))
        return made


class Attention(nn.Module):
    """Its projections; the layer puts them to use."""

    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.num_heads = shape.heads
        self.scale = (shape.width // shape.heads) ** -0.5
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            _linear(shape.width, shape.width) for _ in range(4)
        )


class Mlp(nn.Module):
    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.fc1 = _linear(shape.width, shape.inner)
        self.activation_fn = nn.GELU(approximate=shape.activation)
        self.fc2 = _linear(shape.inner, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.fc2(self.activation_fn(self.fc1(x)))
        return made


class PoolingHead(nn.Module):
    """A learned query attends to all patches; what it gathers goes through an MLP."""

    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.probe = _empty(1, 1, shape.width)
        self.attention: Any = nn.Module()
        self.attention.in_proj_weight = _empty(3 * shape.width, shape.width)
        self.attention.in_proj_bias = _empty(3 * shape.width)
        self.attention.out_proj = _linear(shape.width, shape.width)
        self.layernorm = _norm(shape)
        self.mlp = Mlp(shape)
        self._heads = shape.heads

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, tokens, width) → (n, width)."""
        batch, _, width = hidden.shape
        heads, part = self._heads, width // self._heads
        weights, biases = self.attention.in_proj_weight, self.attention.in_proj_bias
        of_query, of_key, of_value = weights.split(width)
        query = functional.linear(self.probe[0], of_query, biases[:width]).view(heads, 1, part)
        # The one query is the same for all: it goes to the patches through the keys' weights, and
        # the values' weights come after the mixing, so that neither keys nor values are made of
        # every patch. (What the keys' biases add is the same for all patches, and cancels out.)
        asked = torch.bmm(query, of_key.view(heads, part, width)).view(1, 1, heads, width)
        patches = hidden[:, None]
        mixed = functional.scaled_dot_product_attention(
            asked.expand(batch, -1, -1, -1), patches, patches, scale=part**-0.5
        )
        values = torch.baddbmm(
            biases[2 * width :].view(heads, 1, part),
            mixed[:, 0].transpose(0, 1),
            of_value.view(heads, part, width).transpose(1, 2),
        )
        gathered = self.attention.out_proj(values.transpose(0, 1).reshape(batch, width))
        made: Tensor = gathered + self.mlp(self.layernorm(gathered))
        return made


class _Layers(nn.Module):
    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))


class _Table(nn.Module):
    """Rows to look up."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = _empty(rows, width)


def _empty(*size: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(size, device="meta"), requires_grad=False)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, device="meta")


def _norm(shape: TowerShape) -> nn.LayerNorm:
    return nn.LayerNorm(shape.width, eps=shape.eps, device="meta")
