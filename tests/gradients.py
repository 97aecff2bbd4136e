"""What an encoder makes of some rows, with its gradients, and how far two such outcomes lie apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tunewright.backbones._encoder import Encoder


def batch(lengths: Sequence[int], width: int) -> tuple[Tensor, Tensor, Tensor]:
    """ids and mask (b, t), and what their states are multiplied with."""
    draws = torch.Generator().manual_seed(0)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return torch.randint(60, mask.shape, generator=draws), mask, torch.randn(*mask.shape, width, generator=draws)


def outcome(encoder: Encoder, lengths: Sequence[int], bf16: bool) -> dict[str, Tensor]:
    """States of the real tokens, and every gradient of their weighted sum."""
    ids, mask, weights = batch(lengths, encoder.width)
    encoder.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        states, real = encoder(ids, mask)
        states = states.float() * real[..., None]
        (states * weights).sum().backward()
    return {"states": states.detach()} | gradients(encoder)


def gradients(encoder: Encoder) -> dict[str, Tensor]:
    return {name: one.grad.clone() for name, one in encoder.named_parameters() if one.grad is not None}


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm().clamp(min=1e-3))
