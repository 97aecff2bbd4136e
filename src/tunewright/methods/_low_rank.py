"""Low-rank updates beside frozen linear layers: where they are put, what they are, how they go into the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.backbones._encoder import Layer
from tunewright.core.errors import TunewrightError
from tunewright.train.updates import Factors

FUSED = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
"""Modules that read the weights of their linear layers instead of calling them."""


class Update(Protocol):
    """What is trained beside a weight."""

    def factors(self) -> Factors:
        """Their product is added to the weight."""
        ...


Make = Callable[[nn.Linear, int], nn.Module]
"""(linear layer, equal parts of its outputs that have an update each) → the update"""


class Beside(nn.Module):
    """A frozen linear layer and an ``Update`` of its weight.

    The update has no dropout of its own, which takes a quarter of a step's time; the encoder drops its states out.
    """

    def __init__(self, base: nn.Linear, update: nn.Module) -> None:
        super().__init__()
        self.base = base
        self.update = update

    def forward(self, states: Tensor) -> Tensor:
        """states (..., in) → (..., out)"""
        factors: Factors = self.update.factors()  # type: ignore[operator]
        update = functional.linear(functional.linear(states, factors.right), factors.wide)
        return self.base(states) + update  # type: ignore[no-any-return]

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One linear layer that says the same."""
        factors: Factors = self.update.factors()  # type: ignore[operator]
        with torch.device("meta"):
            out = nn.Linear(self.base.in_features, self.base.out_features)
        out.weight = nn.Parameter(self.base.weight + factors.product(), requires_grad=False)
        out.bias = self.base.bias
        return out


def put_beside(encoder: nn.Module, method: str, make: Make) -> dict[str, nn.Module]:
    """An update beside every linear layer of an encoder; query, key and value, joined in one layer, have one each.

    Returns
    -------
    The updates by the names of their layers.

    Raises
    ------
    TunewrightError
        There is no such layer.
    """
    places = [(name, one) for name, one in encoder.named_modules() if name and type(one) is nn.Linear]
    updates: dict[str, nn.Module] = {}
    for name, base in places:
        parent = encoder.get_submodule(name.rpartition(".")[0])
        leaf = name.rpartition(".")[2]
        if not isinstance(parent, FUSED):
            updates[name] = make(base, 3 if isinstance(parent, Layer) and leaf == "qkv" else 1)
            setattr(parent, leaf, Beside(base, updates[name]))
    if not updates:
        raise TunewrightError(
            f"method {method!r} does not fit this encoder ({type(encoder).__name__}): it has no linear layer to update",
            "use --method full",
        )
    return updates


@torch.no_grad()
def merge(encoder: nn.Module) -> dict[str, Factors]:
    """Put every update into the weight that it stands beside; the encoder has its own tensors alone again.

    Returns
    -------
    The updates by the names of their layers: what a model can ship beside the backbone instead.
    """
    found: dict[str, Factors] = {}
    for name, one in list(encoder.named_modules()):
        if isinstance(one, Beside):
            factors: Factors = one.update.factors()  # type: ignore[operator]
            found[name] = Factors(factors.right.detach().cpu(), factors.left.detach().cpu())
            parent = encoder.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], one.merged())
    return found


def room(base: nn.Linear, parts: int) -> int:
    """The highest rank that an update of a part can have."""
    return min(base.in_features, base.out_features // parts)
