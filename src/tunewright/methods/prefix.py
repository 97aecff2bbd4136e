"""Trained keys and values that every layer attends to; they ship in the encoder. Source: Li and Liang 2021."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.backbones._dropout import dropout
from tunewright.backbones._encoder import Encoder, Layer
from tunewright.methods._partial import added_tensors, headed, shared_layers, trained
from tunewright.methods._tokens import drawn
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted

LENGTH = 16
RATE = 1e-2


class PrefixedLayer(Layer):
    """A layer whose attention sees keys and values of its own before those of the tokens.

    The paper computes them from smaller vectors by a network that is thrown away afterwards; here they are the
    parameters themselves, and begin as those of real tokens.

    prefix_keys, prefix_values : (heads, length, width of a head)
    """

    def __init__(self, layer: Layer, keys: Tensor, values: Tensor) -> None:
        with torch.device("meta"):
            super().__init__(layer.shape)
        for name, module in layer.named_children():
            setattr(self, name, module)
        self.prefix_keys = nn.Parameter(keys)
        self.prefix_values = nn.Parameter(values)

    def attend(self, flat: Tensor, bias: Tensor) -> Tensor:
        """As ``Layer``'s; the prefix has no positions and no mask."""
        rows, heads, width = bias.shape[0], self.shape.heads, self.shape.width_of_head
        qkv = self.qkv(flat).view(rows, bias.shape[3], 3, heads, width).permute(2, 0, 3, 1, 4)
        keys, values = (
            torch.cat([prefix.to(qkv.dtype).expand(rows, -1, -1, -1), of_tokens], 2)
            for prefix, of_tokens in ((self.prefix_keys, qkv[1]), (self.prefix_values, qkv[2]))
        )
        seen = functional.pad(bias, (self.prefix_keys.shape[1], 0))
        scores = (qkv[0] * (1 / math.sqrt(width))) @ keys.transpose(-1, -2) + seen
        shares = dropout(scores.softmax(-1), self.shape.attention_dropout, self.training)
        mixed: Tensor = shares.to(qkv.dtype) @ values
        return mixed.transpose(1, 2).reshape(flat.shape[0], heads * width)


def rebuilt(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Encoder:
    """The encoder with prefixes, into which a bundle's tensors fit."""
    for at, layer in enumerate(encoder.layers):
        keys, values = (torch.empty_like(tensors[f"layers.{at}.prefix_{one}"]) for one in ("keys", "values"))
        encoder.layers[at] = PrefixedLayer(layer, keys, values)  # type: ignore[arg-type]
    return encoder


def fit(context: Context) -> Fitted:
    """Train ``fit.size`` keys and values for each layer, and the head."""
    length = context.task.fit.size or LENGTH
    encoder = shared_layers(context, "prefix")
    for at, (keys, values) in enumerate(beginnings(context, encoder, length)):
        encoder.layers[at] = PrefixedLayer(encoder.layers[at], keys, values)  # type: ignore[arg-type]
    model = headed(context, encoder)
    facts = {"prefix_length": length, "added_tensors": added_tensors(context, encoder)}
    return trained(context, context.course("prefix", model, rate=RATE), model, **facts)


@torch.no_grad()
def beginnings(context: Context, encoder: Encoder, length: int) -> list[tuple[Tensor, Tensor]]:
    """Keys and values (heads, length, width of a head) of drawn tokens of the training rows, for each layer."""
    inputs, place = drawn(context, length)
    found: list[Tensor] = []
    heads = encoder.shape.heads
    hooks = [
        layer.qkv.register_forward_hook(lambda module, given, out: found.append(out[place]))  # type: ignore[union-attr]
        for layer in encoder.layers
    ]
    encoder.eval()(**inputs)
    for hook in hooks:
        hook.remove()
    parts = [one.view(length, 3, heads, -1).permute(1, 2, 0, 3).contiguous() for one in found]
    return [(keys, values) for _, keys, values in parts]
