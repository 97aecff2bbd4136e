"""An encoder in two halves: the lower one as pretrained, which several models can share, and the rest above it.

Tensors keep the names that they have in the whole encoder, so that both halves together are its tensors again.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder, summed, through


class Lower(nn.Module):
    """Token ids → what the first ``depth`` layers make of them; at depth 0 the sum of word, position and type alone.

    The norm of that sum belongs to the half above where no layer is below, since some trainings move it.
    """

    def __init__(self, encoder: Encoder, depth: int) -> None:
        super().__init__()
        self.shape = encoder.shape
        self.words, self.positions, self.types = encoder.words, encoder.positions, encoder.types
        self.norm = encoder.norm if depth else None
        self.layers = nn.ModuleList(list(encoder.layers)[:depth])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """input_ids, attention_mask : int64 (b, t), padded on the right → states (b, t, d), mask float32 (b, t)."""
        states, mask = summed(self, input_ids), attention_mask.to(torch.float32)
        return (states if self.norm is None else _over(self.layers, self.norm(states), mask)), mask


class Upper(nn.Module):
    """States of ``Lower`` → those of the whole encoder."""

    def __init__(self, encoder: Encoder, depth: int) -> None:
        super().__init__()
        self.norm = None if depth else encoder.norm
        self.layers = nn.ModuleDict({str(at): layer for at, layer in enumerate(encoder.layers) if at >= depth})

    def forward(self, lower: Tensor, mask: Tensor) -> Tensor:
        """lower (b, t, d), mask float32 (b, t) → states (b, t, d)."""
        return _over(self.layers.values(), lower if self.norm is None else self.norm(lower), mask)


def unmoved(encoder: Encoder, backbone: Encoder) -> int | None:
    """How many of the lower layers are those of the backbone to the bit; None where its tables are others already."""
    tables = ("words", "positions", "types")
    if not all(_same(getattr(encoder, name), getattr(backbone, name)) for name in tables):
        return None
    if not _same(encoder.norm, backbone.norm):
        return 0
    alike = [_same(*pair) for pair in zip(encoder.layers, backbone.layers, strict=False)]
    return next((at for at, same in enumerate(alike) if not same), len(alike))


def _over(layers: Iterable[nn.Module], states: Tensor, mask: Tensor) -> Tensor:
    rows, tokens, width = states.shape
    bias = ((1 - mask) * -1e4).view(rows, 1, 1, tokens)
    return through(layers, states.reshape(rows * tokens, width), bias, False).view(rows, tokens, width)


def _same(one: nn.Module | None, other: nn.Module | None) -> bool:
    if one is None or other is None:
        return one is other
    own, given = one.state_dict(), other.state_dict()
    alike = type(one) is type(other) and own.keys() == given.keys()
    return alike and all(torch.equal(own[name], value) for name, value in given.items())
