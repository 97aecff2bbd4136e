"""A word table cut down to the tokens at hand while an encoder trains.

A token that does not occur gets no gradient, so its row would only be carried along: for a multilingual encoder that is
most of the model (E5 small: 96 of 118 M parameters), several times over in gradients, moments and averages.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder
from tunewright.backbones._module import ModuleEncoder
from tunewright.backbones._static import TokenMean

WORDED = Encoder | ModuleEncoder | TokenMean
"""Encoders whose word table is ``words``."""
Worded = TypeVar("Worded", bound=WORDED)


class NarrowWords(nn.Module):
    """The rows of a word table that ``used`` token ids need, asked for by the ids of the whole table.

    used : int64 (u,), token ids, each once
    """

    lookup: Tensor
    used: Tensor

    def __init__(self, words: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        lookup = torch.zeros(words.num_embeddings, dtype=torch.int64, device=used.device)
        lookup[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("lookup", lookup, persistent=False)
        self.register_buffer("used", used, persistent=False)
        self.table = _table(words.weight.detach()[used])

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.table(self.lookup[input_ids])  # type: ignore[no-any-return]


def narrowed(encoder: Worded, used: Tensor) -> Worded:
    """A copy of the encoder that knows only the tokens ``used``; the word table is never copied whole."""
    return copy.deepcopy(encoder, {id(encoder.words): NarrowWords(encoder.words, used)})


def widened(narrow: Worded, whole: Worded) -> Worded:
    """The trained encoder with the whole word table again; rows that it did not know are those of ``whole``."""
    words = narrow.words
    if not isinstance(words, NarrowWords):
        return narrow
    table = _table(whole.words.weight.detach().clone())
    with torch.no_grad():
        table.weight[words.used] = words.table.weight
    return copy.deepcopy(narrow, {id(words): table})


def _table(rows: Tensor) -> nn.Embedding:
    return nn.Embedding(rows.shape[0], rows.shape[1], _weight=rows)
