"""Dropout whose draws cost a byte each: torch's own draws a float for every number, which took a tenth of a step."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

LEVELS = 256
LOWEST = -(2**63)
ONE = 0x3F80
"""The bits of 1 in bf16."""


class _Dropped(torch.autograd.Function):
    """x · kept / share, where ``kept`` is drawn anew for every number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(LOWEST, None)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        scale = kept.to(x.dtype).mul_(LEVELS / (LEVELS - dropped))
        ctx.save_for_backward(scale)
        return x * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        return gradients[0] * scale, None


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Each number is zero with probability ``share`` (to the nearest 1/256), the others grow so that the mean stays.

    Source: Srivastava et al. 2014, Dropout. Draws come from torch's generator, eight to a number of 64 bits.
    """
    dropped = round(share * LEVELS)
    if not training or not dropped:
        return x
    return cast(Tensor, _Dropped.apply(x, dropped))  # type: ignore[no-untyped-call]


def kept(count: int, dropped: int, device: torch.device) -> Tensor:
    """bf16 (count,): 0 with probability dropped / 256, else 1.

    A byte is drawn for each. It decides by the sign of what it lies above the limit, spread over all bits of a number
    of 16: a third of the time that comparing bytes and casting the outcome takes.
    """
    words = (count + 7) // 8
    draws = torch.empty(words, dtype=torch.int64, device=device).random_(LOWEST, None).view(torch.int16)
    out = torch.empty(2, 4 * words, dtype=torch.int16, device=device)
    torch.bitwise_right_shift(draws, 1, out=out[0])  # the upper byte decides, with room for the difference
    torch.bitwise_left_shift(draws, 8, out=out[1])  # the lower one
    out[1] >>= 1
    out.sub_((LEVELS // 2 - dropped) * (LEVELS // 2))
    out >>= 15
    out &= ONE
    return out.view(torch.bfloat16).view(-1)[:count]
