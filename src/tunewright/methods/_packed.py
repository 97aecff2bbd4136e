"""Rows of unlike length laid end to end in lines, so that next to nothing is computed on padding."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunewright.backbones._encoder import Encoder
from tunewright.train.course import Model

LINE = 64
"""Tokens of a line at the least. Attention runs over whole lines, so longer ones cost more than they save."""
TOGETHER = 16
"""Rows of like length that run together through an encoder that cannot keep the rows of a line apart."""


class Packed(Model):
    """Encoder and head for batches that are made by class, not by length. Lines are for encoders that compute padding.

    Nothing is dropped out: in a few steps that costs more than it gives.
    """

    def train(self, mode: bool = True) -> Packed:
        return super().train(False)

    def forward(self, **arrays: Tensor) -> Tensor:
        """As ``Model``, for heads that give one vector per row: (b, d)"""
        mask = arrays.get("attention_mask")
        if mask is None:
            return super().forward(**arrays)
        if not isinstance(self.encoder, Encoder):
            return self._by_length(arrays, mask.sum(1).long())
        if self.encoder.skips_padding(mask.shape[1]):
            return super().forward(**arrays)
        states = _in_lines(self.encoder, arrays["input_ids"], mask.bool())
        return self.head(states.float(), mask.float()).float()  # type: ignore[no-any-return]

    def _by_length(self, arrays: dict[str, Tensor], lengths: Tensor) -> Tensor:
        order = torch.argsort(lengths, descending=True, stable=True)
        groups = torch.split(order, TOGETHER)
        made = [super(Packed, self).forward(**_cut(arrays, rows, int(lengths[rows[0]]))) for rows in groups]
        return torch.cat(made)[torch.argsort(order)]


def laid(lengths: NDArray[np.int64], line: int) -> NDArray[np.int64]:
    """int64 (n,): where each row begins when lines of ``line`` tokens are laid end to end; no row crosses a line's end.

    The longest come first, each in the first line that has room for it.

    >>> laid(np.array([2, 5, 3, 4]), 7).tolist()
    [5, 0, 11, 7]
    """
    room = np.full(len(lengths), line)
    out = np.zeros(len(lengths), np.int64)
    for row in np.argsort(-lengths, kind="stable").tolist():
        at = int(np.argmax(room >= lengths[row]))
        out[row] = (at + 1) * line - room[at]
        room[at] -= lengths[row]
    return out


def _in_lines(encoder: Encoder, input_ids: Tensor, real: Tensor) -> Tensor:
    """input_ids (n, t), real bool (n, t) → states (n, t, d); those that are not real are any."""
    device, tokens = input_ids.device, input_ids.shape[1]
    lengths = real.sum(1)
    line = max(LINE, tokens)
    begin = laid(lengths.numpy(force=True), line)
    count = int(begin.max()) // line + 1
    inside = torch.arange(tokens, device=device)
    slots = torch.from_numpy(begin).to(device)[:, None] + inside
    at, row = slots[real], torch.arange(len(slots), device=device)[:, None].expand_as(slots)[real]

    def lines(values: Tensor, empty: int) -> Tensor:
        out = torch.full((count * line,), empty, device=device)
        out[at] = values
        return out.view(count, line)

    ids, places, owner = lines(input_ids[real], 0), lines(inside.expand_as(slots)[real], 0), lines(row, -1)
    flat = encoder.in_lines(ids, places, owner).flatten(0, 1)
    return flat.index_select(0, torch.where(real, slots, 0).flatten()).view(*slots.shape, -1)


def _cut(arrays: dict[str, Tensor], rows: Tensor, longest: int) -> dict[str, Tensor]:
    return {name: value[rows, :longest] for name, value in arrays.items()}
