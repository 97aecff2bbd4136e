"""FGM and PGD: shifts of the stated norm, and gradients that are the sum of two passes computed without hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tunewright.objectives import fgm, pgd
from tunewright.objectives._adversarial import norm, unit
from tunewright.train.step import Piece, plain

Make = Callable[..., Any]


def loss_at(model: Any, piece: Piece, shift: Tensor) -> Tensor:
    """The loss with ``shift`` added to the embeddings, without hooks."""
    states = model.encoder.words(piece.arrays["input_ids"]) + shift
    logits = model.head(*model.encoder.upon(states, piece.arrays["attention_mask"]))
    return (piece.loss(logits, piece.truth) * piece.weights).sum()


def slope_at(model: Any, piece: Piece, shift: Tensor) -> Tensor:
    shift = shift.clone().requires_grad_()
    return torch.autograd.grad(loss_at(model, piece, shift), shift)[0]


def row_units(values: Tensor) -> Tensor:
    return torch.stack([row / row.norm() for row in values])


def both_passes(model: Any, piece: Piece, shift: Tensor) -> tuple[Tensor, list[Tensor]]:
    total = loss_at(model, piece, torch.zeros_like(shift)) + loss_at(model, piece, shift)
    return total, list(torch.autograd.grad(total, list(model.parameters())))


def same(step: Any, model: Any, piece: Piece, shift: Tensor) -> None:
    total = step(model, piece)
    expected, slopes = both_passes(model, piece, shift)
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, slope in zip(model.parameters(), slopes, strict=True):
        torch.testing.assert_close(one.grad, slope, rtol=1e-4, atol=1e-6)


def nothing(piece: Piece) -> Tensor:
    return torch.zeros(*piece.arrays["input_ids"].shape, 8)


@pytest.mark.parametrize("epsilon", [0.3, 2.0])
def test_fgm_adds_the_gradients_of_both_passes(
    epsilon: float, words_model: Any, words_piece: Piece, context_of: Make
) -> None:
    shift = epsilon * row_units(slope_at(words_model, words_piece, nothing(words_piece)))
    torch.testing.assert_close(shift.flatten(1).norm(dim=1), torch.full((6,), epsilon))
    same(fgm.wrap(plain, epsilon, context_of("classify")), words_model, words_piece, shift)


@pytest.mark.parametrize("epsilon", [0.3, 2.0])
def test_pgd_goes_up_in_steps_and_never_leaves_the_ball(
    epsilon: float, words_model: Any, words_piece: Piece, context_of: Make
) -> None:
    shift = nothing(words_piece)
    for _ in range(3):
        shift = shift + 2.5 / 3 * epsilon * row_units(slope_at(words_model, words_piece, shift))
        shift = torch.stack([row * min(1.0, epsilon / float(row.norm())) for row in shift])
    assert (shift.flatten(1).norm(dim=1) <= epsilon * 1.00001).all()
    assert loss_at(words_model, words_piece, shift) > loss_at(words_model, words_piece, nothing(words_piece))
    same(pgd.wrap(plain, epsilon, context_of("classify")), words_model, words_piece, shift)


@pytest.mark.parametrize("objective", [fgm, pgd])
def test_frozen_words_are_moved_too_and_stay_frozen(
    objective: Any, words_model: Any, words_piece: Piece, context_of: Make
) -> None:
    words_model.encoder.words.weight.requires_grad_(False)
    clean = plain(words_model, words_piece)
    total = objective.wrap(plain, 1.0, context_of("classify"))(words_model, words_piece)
    assert total > 2 * clean
    moving = {name for name, one in words_model.named_parameters() if one.requires_grad}
    assert moving == {name for name, _ in words_model.named_parameters()} - {"encoder.words.weight"}
    assert words_model.encoder.words.weight.grad is None
    assert not words_model.encoder.words._forward_hooks


def test_a_step_that_fails_leaves_the_model_as_it_was(words_model: Any, words_piece: Piece, context_of: Make) -> None:
    calls = iter([plain, plain])

    def step(model: Any, piece: Piece) -> Tensor:
        return next(calls)(model, piece)

    with pytest.raises(StopIteration):
        pgd.wrap(step, 1.0, context_of("classify"))(words_model, words_piece)
    assert all(one.requires_grad for one in words_model.parameters())
    assert not words_model.encoder.words._forward_hooks


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_norms_of_rows_over_many_sizes(size: float) -> None:
    values = torch.tensor([[[3.0, 0.0], [0.0, -4.0]], [[0.0, 0.0], [0.0, 0.0]]]) * size
    torch.testing.assert_close(norm(values).flatten() / size, torch.tensor([5.0, 0.0]))
    torch.testing.assert_close(unit(values), torch.tensor([[[0.6, 0.0], [0.0, -0.8]], [[0.0, 0.0], [0.0, 0.0]]]))


@pytest.mark.parametrize("radius", [0.5, 1.0])
def test_a_shift_inside_the_ball_is_not_stretched(radius: float) -> None:
    ahead = torch.tensor([[[1.0, 0.0]]])
    first = pgd.moved(torch.zeros(1, 1, 2), ahead, radius)
    torch.testing.assert_close(first, pgd.STRIDE * radius * ahead)
    torch.testing.assert_close(pgd.moved(first, ahead, radius), radius * ahead)
