"""Dropout whose draws cost a byte each: torch's own draws a float for every number, which took a tenth of a step."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

LEVELS = 256
LOWEST = -(2**63)


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
