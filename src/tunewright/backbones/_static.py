"""An encoder without layers: the mean of its tokens' vectors, one state for a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TokenMean(nn.Module):
    """Token ids → one state per window, whatever the order of its tokens; how much a token weighs lies in its vector.

    Source: Wieting et al. 2016 (ICLR), Towards Universal Paraphrastic Sentence Embeddings.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.words = nn.Embedding(vocabulary, width)

    @classmethod
    def of(cls, table: Tensor) -> TokenMean:
        """The encoder with the vectors of a table (v, d)."""
        out = cls(*table.shape)
        out.words.weight = nn.Parameter(table.contiguous())
        return out

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """input_ids, attention_mask : int64 (b, t) → state (b, 1, d), mask of ones (b, 1)"""
        mask = attention_mask.to(torch.float32)
        shares = mask / mask.sum(1, keepdim=True).clamp(min=1.0)
        vectors = self.words(input_ids)
        return shares.unsqueeze(1).to(vectors.dtype) @ vectors, torch.ones_like(mask[:, :1])
