"""The large-margin cosine loss against its formula; what it does to the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from tunewright.objectives import margin
from tunewright.train.step import Piece, plain

Make = Callable[..., Any]


@pytest.mark.parametrize("strength", [0.0, 0.2])
def test_it_is_the_papers_formula(words_model: Any, words_piece: Piece, context_of: Make, strength: float) -> None:
    vectors = words_model.head.pooled.embed(*words_model.encoder(**words_piece.arrays))
    unit = functional.normalize(words_model.head.pooled.linear.weight, dim=1)
    logits = 20 * (vectors @ unit.T - strength * functional.one_hot(words_piece.truth, len(unit)))
    by_row = functional.cross_entropy(logits, words_piece.truth, reduction="none")
    found = margin.wrap(plain, strength, context_of("classify"))(words_model, words_piece)
    assert found.item() == pytest.approx((by_row * words_piece.weights).sum().item(), rel=1e-4)


def test_the_head_that_ships_gives_cosines(words_model: Any, words_piece: Piece, context_of: Make) -> None:
    margin.wrap(plain, 0.2, context_of("classify"))(words_model, words_piece)
    linear = words_model.head.pooled.linear
    torch.testing.assert_close(linear.weight.norm(dim=1), torch.full((len(linear.weight),), 20.0))
    assert not linear.bias.any()
    assert words_model(**words_piece.arrays).abs().max() <= 20.001


def test_the_embeddings_and_the_head_learn(words_model: Any, words_piece: Piece, context_of: Make) -> None:
    words_model.requires_grad_(True)
    margin.wrap(plain, 0.2, context_of("classify"))(words_model, words_piece)
    assert words_model.head.pooled.linear.weight.grad.abs().sum() > 0
    assert any(one.grad is not None and one.grad.abs().sum() > 0 for one in words_model.encoder.parameters())
