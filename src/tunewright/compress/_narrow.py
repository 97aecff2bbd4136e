"""An encoder with fewer layers, heads and feed-forward neurons: which are worth least, and the smaller network."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder, Layer, Shape
from tunewright.core.errors import TunewrightError
from tunewright.train.context import Context
from tunewright.train.course import Model
from tunewright.train.device import fast
from tunewright.train.step import Piece, plain

ROWS, BATCH = 1_024, 16
"""Training rows that the importance is measured on at the most, and how many of them give one gradient."""


@dataclass(frozen=True)
class Worth:
    """Importance of each unit, higher is better.

    heads : float (layers, heads); inner : float (layers, neurons)
    """

    heads: Tensor
    inner: Tensor

    @property
    def layers(self) -> Tensor:
        """(layers,): of all units of a layer together."""
        return self.heads.sum(1) + self.inner.sum(1)


def plain_layers(encoder: nn.Module, step: str) -> Encoder:
    """The encoder, if nothing but attention and feed-forward stands in its layers.

    Raises
    ------
    TunewrightError
        It is of another make, or its method put tensors of its own between.
    """
    if not isinstance(encoder, Encoder) or any(type(one) is not Layer for one in encoder.layers):
        what = type(encoder).__name__ if not isinstance(encoder, Encoder) else type(encoder.layers[0]).__name__
        raise TunewrightError(
            f"{step} cuts the layers of encoders of the BERT family, and this bundle has {what}",
            "use --to distill --student static, or --to int8",
        )
    return encoder


def by_magnitude(encoder: Encoder) -> Worth:
    """The squared length of all weights of a unit."""
    heads, width = encoder.shape.heads, encoder.shape.width_of_head
    of_heads, of_inner = [], []
    with torch.no_grad():
        for layer in _layers(encoder):
            into = layer.qkv.weight.square().sum(1).view(3, heads, width).sum((0, 2))
            of_heads.append(into + layer.out.weight.square().sum(0).view(heads, width).sum(1))
            of_inner.append(layer.up.weight.square().sum(1) + layer.down.weight.square().sum(0))
    return Worth(torch.stack(of_heads), torch.stack(of_inner))


def by_taylor(context: Context, model: Model) -> Worth:
    """By how much the loss on training rows would change without a unit, to first order; squared, over batches.

    A unit's output enters the residual through its columns of one matrix W, so that a factor of 1 before it has the
    derivative sum(W * dL/dW).

    Sources: Molchanov et al. 2019 (CVPR), Importance Estimation for Neural Network Pruning, equation 8; Michel, Levy
    and Neubig 2019, Are Sixteen Heads Really Better than One?
    """
    encoder = model.encoder
    assert isinstance(encoder, Encoder)
    feed, layers = context.course("importance", model).feed, _layers(encoder)
    heads, width = encoder.shape.heads, encoder.shape.width_of_head
    of_heads = torch.zeros(len(layers), heads)
    of_inner = torch.zeros(len(layers), encoder.shape.inner)
    drawn = torch.randperm(len(feed.windows), generator=torch.Generator().manual_seed(context.task.seed))
    model.to(context.device).eval()  # without dropout: what is cut is that which serves
    for begin in range(0, min(ROWS, len(drawn)), BATCH):
        index = drawn[begin : min(ROWS, begin + BATCH)].sort().values.numpy()
        arrays, truth = feed.inputs(index, context.device), feed.truth(index, context.device)
        shares = torch.full((len(index),), 1 / len(index), device=context.device)
        with fast(context.device, context.bf16):
            plain(model, Piece(arrays, truth, shares, model.head.loss))  # type: ignore[arg-type]
        for at, layer in enumerate(layers):
            out, down = (_moved(one) for one in (layer.out.weight, layer.down.weight))
            of_heads[at] += out.view(heads, width).sum(1).square()
            of_inner[at] += down.square()
        model.zero_grad(set_to_none=True)
    return Worth(of_heads, of_inner)


def _moved(weight: Tensor) -> Tensor:
    """(columns,): sum of weight × gradient over each column of a matrix."""
    assert weight.grad is not None
    return (weight.detach() * weight.grad).sum(0).float().cpu()


def _layers(encoder: Encoder) -> list[Layer]:
    return [one for one in encoder.layers if isinstance(one, Layer)]


def kept(worth: Tensor, count: int) -> list[int]:
    """Places of the ``count`` most important ones, in their order.

    >>> kept(torch.tensor([3.0, 1.0, 2.0]), 2)
    [0, 2]
    """
    return sorted(worth.argsort(descending=True, stable=True)[:count].tolist())


@torch.no_grad()
def narrowed(encoder: Encoder, worth: Worth, layers: Sequence[int], heads: int, inner: int) -> Encoder:
    """A copy with these layers, and of each of them the best heads and neurons, as many in every layer."""
    shape = encoder.shape
    head_width = shape.width_of_head if heads != shape.heads else shape.head_width
    smaller = replace(shape, layers=len(layers), heads=heads, inner=inner, head_width=head_width)
    whole = [_layers(encoder)[at] for at in layers]
    out = copy.deepcopy(encoder, {id(encoder.layers): nn.ModuleList()})
    out.shape = smaller
    for at, layer in zip(layers, whole, strict=True):
        own_heads, own_inner = kept(worth.heads[at], heads), kept(worth.inner[at], inner)
        out.layers.append(_cut(layer, smaller, own_heads, own_inner))
    return out


def _cut(layer: Layer, shape: Shape, heads: list[int], inner: list[int]) -> Layer:
    count, width = layer.shape.heads, layer.shape.width_of_head
    own = layer.state_dict()
    inside = torch.tensor([head * width + at for head in heads for at in range(width)])
    rows = torch.cat([part * count * width + inside for part in range(3)])
    own |= {"qkv.weight": own["qkv.weight"][rows], "qkv.bias": own["qkv.bias"][rows]}
    own |= {"out.weight": own["out.weight"][:, inside]}
    own |= {"up.weight": own["up.weight"][inner], "up.bias": own["up.bias"][inner]}
    own |= {"down.weight": own["down.weight"][:, inner]}
    smaller = Layer(shape)
    smaller.load_state_dict({name: one.clone() for name, one in own.items()})
    return smaller
