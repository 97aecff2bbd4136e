"""The transformer encoder that BERT, RoBERTa, DistilBERT, MiniLM, E5 and XLM-R share: post-norm, learned positions.

One module for the families: plain batched matmul attention on flattened tokens trains faster on short inputs than the
general one, and its graph exports with every tensor stored as it is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tunewright.backbones import _layer16, _layer_native
from tunewright.backbones._dropout import dropout

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
}


@dataclass(frozen=True)
class Shape:
    """The measures of an encoder.

    types : rows of the token-type table; 0 = the family has none
    position_offset : position of the first token (RoBERTa counts from the padding id + 1)
    head_width : width of one attention head; 0 = what the whole width gives each. Where heads were pruned they are
        fewer, and each is as wide as it was
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    inner: int
    positions: int
    types: int
    position_offset: int = 0
    epsilon: float = 1e-12
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    head_width: int = 0

    @property
    def width_of_head(self) -> int:
        return self.head_width or self.width // self.heads


class Layer(nn.Module):
    """Attention and feed-forward, each with its residual and norm behind it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        inside = shape.heads * shape.width_of_head
        self.qkv = nn.Linear(shape.width, 3 * inside)
        self.out = nn.Linear(inside, shape.width)
        self.attention_norm = nn.LayerNorm(shape.width, shape.epsilon)
        self.up = nn.Linear(shape.width, shape.inner)
        self.down = nn.Linear(shape.inner, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.epsilon)

    def forward(self, flat: Tensor, bias: Tensor) -> Tensor:
        """flat : (b * t, d); bias : (b, 1, 1 or t, t), added to the attention scores."""
        drop = self.shape.dropout
        attended = dropout(self.out(self.attend(flat, bias)), drop, self.training)
        flat = self.attention_norm(flat + attended)
        inner = ACTIVATIONS[self.shape.activation](self.up(flat))
        return self.norm(flat + dropout(self.down(inner), drop, self.training))  # type: ignore[no-any-return]

    def attend(self, flat: Tensor, bias: Tensor) -> Tensor:
        """Multi-head attention without its output projection: (b * t, d) → (b * t, heads * width of a head)."""
        heads, width = self.shape.heads, self.shape.width_of_head
        qkv = self.qkv(flat).view(bias.shape[0], bias.shape[3], 3, heads, width).permute(2, 0, 3, 1, 4)
        scores = (qkv[0] * (1 / math.sqrt(width))) @ qkv[1].transpose(-1, -2) + bias
        shares = dropout(scores.softmax(-1), self.shape.attention_dropout, self.training)
        mixed: Tensor = shares.to(qkv.dtype) @ qkv[2]
        return mixed.transpose(1, 2).reshape(flat.shape[0], heads * width)


class Encoder(nn.Module):
    """Token ids → token states.

    recompute : see ``through``
    """

    recompute: bool = False

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.types = nn.Embedding(shape.types, shape.width) if shape.types else None
        self.norm = nn.LayerNorm(shape.width, shape.epsilon)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    @property
    def width(self) -> int:
        return self.shape.width

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """input_ids, attention_mask : int64 (b, t), padded on the right → states (b, t, d), mask float32 (b, t)."""
        return self.lower(input_ids, attention_mask, len(self.layers))

    def lower(self, input_ids: Tensor, attention_mask: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """The states after the first ``depth`` layers; as ``forward``."""
        rows, tokens = input_ids.shape
        mask = attention_mask.to(torch.float32)
        first = self.shape.position_offset
        flat = self._embedded(input_ids, self.positions.weight[first : first + tokens])
        bias = ((1 - mask) * -1e4).view(rows, 1, 1, tokens)
        flat = through(islice(self.layers, depth), flat, bias, self.recompute)
        return flat.view(rows, tokens, self.width), mask

    def skips_padding(self, tokens: int) -> bool:
        """Whether rows padded to so many tokens cost no more now than their own tokens, in attention as elsewhere."""
        return _written_out(self.layers, self.words.weight) and _native(self.layers, tokens)

    def in_lines(self, input_ids: Tensor, places: Tensor, owner: Tensor) -> Tensor:
        """The states (b, t, d) of rows that lie end to end in b lines; a token attends to those of its row alone.

        input_ids, places, owner : int64 (b, t), of each token its id, its place in its row, and which row that is
        """
        flat = self._embedded(input_ids, self.positions(self.shape.position_offset + places))
        bias = (owner[:, None, :, None] != owner[:, None, None, :]) * -1e4
        return through(self.layers, flat, bias, self.recompute).view(*input_ids.shape, self.width)

    def _embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:
        """(b, t), positions (t, d) or (b, t, d) → (b * t, d): what the first layer reads."""
        flat: Tensor = self.norm(_summed(self, input_ids, positions)).view(-1, self.width)
        return dropout(flat, self.shape.dropout, self.training)


class Tables(Protocol):
    """What is looked up and added up for a token, as ``Encoder`` has it."""

    shape: Shape
    words: nn.Embedding
    positions: nn.Embedding
    types: nn.Embedding | None


def summed(tables: Tables, input_ids: Tensor) -> Tensor:
    """The sum of word, position and type: (b, t) → (b, t, d)."""
    first = tables.shape.position_offset
    return _summed(tables, input_ids, tables.positions.weight[first : first + input_ids.shape[1]])


def _summed(tables: Tables, input_ids: Tensor, positions: Tensor) -> Tensor:
    states: Tensor = tables.words(input_ids) + positions
    return states if tables.types is None else states + tables.types.weight[0]


def through(layers: Iterable[nn.Module], flat: Tensor, bias: Tensor, recompute: bool) -> Tensor:
    """One layer after the other; flat : (b * t, d), bias : (b, 1, 1 or t, t).

    recompute : keep the states between the layers alone and compute each layer again on the way back, with the same
        draws. Source: Chen et al. 2016, Training deep nets with sublinear memory cost.

    In bf16 on a processor only real tokens are computed, where all tokens of a row see the same ones; padding comes out
    as zeros.
    """
    layers = list(layers)
    padded_alike = bias.shape[2] == 1
    if not layers or not padded_alike or not _written_out(layers, flat):
        return _run(layers, flat, bias, recompute)
    packed = _layer16.Packed.of(bias)
    steps: list[Callable[[Tensor, Tensor], Tensor]]
    if _native(layers, packed.tokens):
        rows = _layer_native.rows(packed, bias)
        steps = [partial(_layer_native.forward, layer, rows) for layer in layers]  # type: ignore[arg-type]
    else:
        steps = [partial(_layer16.forward, layer, packed) for layer in layers]  # type: ignore[arg-type]
    return packed.unpack(_run(steps, packed.pack(flat), bias, recompute))


def _written_out(layers: Iterable[nn.Module], like: Tensor) -> bool:
    """Whether the way back of all layers is written out, for tokens that lie where ``like`` does."""
    return all(type(one) is Layer and _layer16.fits(one, like) for one in layers)


def _native(layers: Iterable[nn.Module], tokens: int) -> bool:
    """Whether layers that are written out are in native code, for rows of so many tokens."""
    return all(_layer_native.fits(one, tokens) for one in layers)  # type: ignore[arg-type]


def _run(steps: Iterable[Callable[[Tensor, Tensor], Tensor]], flat: Tensor, bias: Tensor, recompute: bool) -> Tensor:
    for step in steps:
        if recompute and torch.is_grad_enabled():
            flat = checkpoint(step, flat, bias, use_reentrant=False)
        else:
            flat = step(flat, bias)
    return flat


class UpperLayers(nn.Module):
    """The layers of an encoder above ``depth``, shared with it.

    recompute : see ``through``
    """

    recompute: bool = False

    def __init__(self, encoder: Encoder, depth: int) -> None:
        super().__init__()
        self.width = encoder.width
        self.layers = nn.ModuleList(islice(encoder.layers, depth, None))

    def forward(self, states: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """states (b, t, d) as ``Encoder.lower`` gives them, attention_mask (b, t) → states (b, t, d), mask float32."""
        rows, tokens = attention_mask.shape
        mask = attention_mask.to(torch.float32)
        flat = states.reshape(rows * tokens, self.width)
        bias = ((1 - mask) * -1e4).view(rows, 1, 1, tokens)
        return through(self.layers, flat, bias, self.recompute).view(rows, tokens, self.width), mask
