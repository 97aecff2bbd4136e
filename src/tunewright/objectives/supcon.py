"""Supervised contrastive term: rows of one class near each other, others apart. Source: Khosla et al. 2020.

For row i with the rows P of its class in the piece: -1 / |P| Σ_p log(exp(e_i e_p / τ) / Σ_a exp(e_i e_a / τ)), a over
all rows but i, e being pooled embeddings of length 1, τ = 0.1. A row that is alone in its class adds nothing. The term
times the strength is added to the loss, as Gunel et al. 2021 do for encoders of text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tunewright.objectives._parts import named, watched
from tunewright.train.context import Context
from tunewright.train.step import Piece, Step

RANGE = (0.0, 10.0)
KINDS = ("classify",)
NEEDS = ("pooled",)
PAIRS = True
BEFORE = ("mixup",)
"""Mixed rows have no class of their own."""
TEMPERATURE = 0.1


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : the term's weight beside the loss"""

    def contrasted(model: nn.Module, piece: Piece) -> Tensor:
        seen: list[Tensor] = []

        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            seen[:] = [output]

        def loss(logits: Tensor, truth: Tensor) -> Tensor:
            own = piece.truth.repeat(len(logits) // len(piece.truth))
            return piece.loss(logits, truth) + strength * contrast(seen[0], own)

        embeds = [pooled.get_submodule("embed") for pooled in named(model, "pooled")]
        with watched(embeds, hook):
            return step(model, replace(piece, loss=loss))

    return contrasted


def contrast(vectors: Tensor, truth: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """vectors (b, d) of length 1, truth int64 (b,) → the term of each row (b,), in fp32."""
    with torch.autocast(vectors.device.type, enabled=False):
        scores = vectors.float() @ vectors.float().T / temperature
    itself = torch.eye(len(truth), dtype=torch.bool, device=truth.device)
    scores = scores.masked_fill(itself, -1e9)  # not minus infinity, which would make a row alone in its piece NaN
    alike = (truth[:, None] == truth) & ~itself
    log_shares = torch.log_softmax(scores, -1)
    return -torch.where(alike, log_shares, 0.0).sum(-1) / alike.sum(-1).clamp(min=1)
