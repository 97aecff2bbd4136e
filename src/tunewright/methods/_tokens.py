"""Real tokens that trained vectors begin as."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tunewright.train.context import Context


def drawn(context: Context, count: int) -> tuple[dict[str, Tensor], Tensor]:
    """Tokens of the training rows, drawn from the task's seed: one from each of ``count`` windows.

    Returns
    -------
    inputs : of the windows, as the encoder takes them, (count, t)
    place : int64 (count,), where the tokens stand when the windows are laid end to end
    """
    windows, draws = context.train.windows, np.random.default_rng(context.task.seed)
    rows = draws.integers(len(windows), size=count)
    arrays = context.backbone.modality.batch(windows, rows)
    mask = arrays["attention_mask"]
    place = np.arange(count) * mask.shape[1] + draws.integers(mask.sum(1))
    inputs = {name: torch.from_numpy(value).to(context.device) for name, value in arrays.items()}
    return inputs, torch.from_numpy(place).to(context.device)
