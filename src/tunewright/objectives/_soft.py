"""Truth as shares of labels, so that mixed rows have one too."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def soft(truth: Tensor, size: int) -> Tensor:
    """Truth that can be mixed: classify int64 (b,) or multilabel uint8 (b, k) → float32 (b, k); floats stay.

    The losses of the heads take it too: they are linear in the truth, or squared.
    """
    if truth.is_floating_point():
        return truth
    return (functional.one_hot(truth, size) if truth.ndim == 1 else truth).to(torch.float32)
