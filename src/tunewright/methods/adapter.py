"""Small bottlenecks behind attention and feed-forward; they ship in the encoder. Source: Houlsby et al. 2019."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.backbones._encoder import Encoder, Layer
from tunewright.methods._partial import added_tensors, headed, shared_layers, thaw, trained
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted

WIDTH = 64
RATE = 1e-3
SPREAD = 1e-3
"""Standard deviation of the weights at first: nearly the identity."""


class Bottleneck(nn.Module):
    """states + up(gelu(down(states)))"""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, inner)
        self.up = nn.Linear(inner, width)
        for one in (self.down, self.up):
            nn.init.trunc_normal_(one.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)
            nn.init.zeros_(one.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(..., d) → (..., d)"""
        return states + self.up(functional.gelu(self.down(states)))  # type: ignore[no-any-return]


class Followed(nn.Linear):
    """A linear layer with a bottleneck behind it."""

    def __init__(self, base: nn.Linear, inner: int) -> None:
        with torch.device("meta"):
            super().__init__(base.in_features, base.out_features)
        self.weight, self.bias = base.weight, base.bias
        self.adapter = Bottleneck(base.out_features, inner)

    def forward(self, states: Tensor) -> Tensor:
        """(..., in) → (..., out)"""
        return self.adapter(super().forward(states))  # type: ignore[no-any-return]


def fit(context: Context) -> Fitted:
    """Train bottlenecks of width ``fit.size`` before each residual, all norms, and the head."""
    width = context.task.fit.size or WIDTH
    encoder = shared_layers(context, "adapter")
    insert(encoder, width)
    thaw(encoder, lambda name: name.rpartition(".")[0].endswith("norm"))
    model = headed(context, encoder)
    facts = {"adapter_width": width, "added_tensors": added_tensors(context, encoder)}
    return trained(context, context.course("adapter", model, rate=RATE), model, **facts)


def rebuilt(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Encoder:
    """The encoder with bottlenecks, into which a bundle's tensors fit."""
    insert(encoder, next(len(one) for name, one in tensors.items() if name.endswith("adapter.down.weight")))
    return encoder


def insert(encoder: Encoder, width: int) -> None:
    """Put a bottleneck behind attention and feed-forward of every layer."""
    for layer in encoder.layers:
        assert isinstance(layer, Layer)
        layer.out, layer.down = Followed(layer.out, width), Followed(layer.down, width)
