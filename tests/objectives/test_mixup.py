"""Mixup: rows and truths mixed alike, copies within themselves, and shares of the Beta distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

from tunewright.objectives import mixup, rdrop
from tunewright.objectives.mixup import Mix
from tunewright.train.step import Piece, plain

Make = Callable[..., Any]


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> Mix:
    """What is drawn at every step."""
    mix = Mix(torch.tensor([0.9, 0.2, 0.5, 0.7, 1.0, 0.4]), torch.tensor([3, 0, 5, 1, 2, 4]))
    monkeypatch.setattr(Mix, "drawn", classmethod(lambda cls, rows, alpha: mix))
    return mix


def by_hand(model: Any, piece: Piece, mix: Mix) -> Tensor:
    """The mixed loss of a classifier, written as the mean of two losses."""
    states, mask = model.encoder(**piece.arrays)
    vectors = model.head.pooled.embed(states, mask)
    total = torch.zeros(())
    for row, (share, partner) in enumerate(zip(mix.shares, mix.partners, strict=True)):
        logits = model.head.pooled.linear(share * vectors[row] + (1 - share) * vectors[partner])[None]
        one, other = (functional.cross_entropy(logits, piece.truth[[at]]) for at in (row, int(partner)))
        weight = share * piece.weights[row] + (1 - share) * piece.weights[partner]
        total = total + weight * (share * one + (1 - share) * other)
    return total


def gradients(model: nn.Module) -> list[Tensor]:
    found = [one.grad.clone() for one in model.parameters() if one.grad is not None]
    model.zero_grad()
    return found


def test_it_is_the_mean_of_two_losses_on_mixed_embeddings(
    fixed: Mix, words_model: Any, words_piece: Piece, context_of: Make
) -> None:
    total = mixup.wrap(plain, 0.4, context_of("classify"))(words_model, words_piece)
    found = gradients(words_model)
    expected = by_hand(words_model, words_piece, fixed)
    expected.backward()  # type: ignore[no-untyped-call]
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(found, gradients(words_model))
    words_model(**words_piece.arrays)
    assert not words_model.head.pooled.embed._forward_hooks, "nothing is mixed after the step"


def test_several_labels_and_numbers_are_mixed_as_they_are(fixed: Mix, truths: dict[str, Tensor]) -> None:
    for kind in ("multilabel", "regress"):
        values = truths[kind].double()
        shares = fixed.shares.double().view(-1, *[1] * (values.ndim - 1))
        mixed = fixed(mixup.soft(truths[kind], 4))
        torch.testing.assert_close(mixed.double(), shares * values + (1 - shares) * values[fixed.partners])
    assert fixed(truths["regress"]).dtype == torch.float64


def test_copies_of_the_rows_are_mixed_with_the_same_partners(fixed: Mix) -> None:
    values = torch.randn(6, 3)
    torch.testing.assert_close(fixed(torch.cat([values, -values])), torch.cat([fixed(values), -fixed(values)]))


@pytest.mark.parametrize("order", [(mixup, rdrop), (rdrop, mixup)])
def test_with_r_drop_both_passes_are_mixed_alike(
    order: Any, fixed: Mix, words_model: Any, words_piece: Piece, context_of: Make
) -> None:
    """Without dropout both passes say the same, so the loss is that of mixup alone."""
    context = context_of("classify")
    alone = mixup.wrap(plain, 0.4, context)(words_model, words_piece)
    step = order[0].wrap(order[1].wrap(plain, 3.0, context), 3.0, context)
    assert step(words_model, words_piece).item() == pytest.approx(alone.item(), rel=1e-5)


def test_a_row_by_itself_stays_what_it_is(words_model: Any, words_piece: Piece, context_of: Make) -> None:
    arrays = {name: values[:1] for name, values in words_piece.arrays.items()}
    one = replace(words_piece, arrays=arrays, truth=words_piece.truth[:1], weights=words_piece.weights[:1])
    total = mixup.wrap(plain, 0.4, context_of("classify"))(words_model, one)
    assert total.item() == pytest.approx(plain(words_model, one).item(), rel=1e-5)


def test_shares_are_drawn_from_the_beta_distribution_and_partners_from_all_rows() -> None:
    torch.manual_seed(0)
    mix = Mix.drawn(4000, 0.4)
    assert stats.kstest(mix.shares.numpy(), stats.beta(0.4, 0.4).cdf).pvalue > 0.01
    np.testing.assert_array_equal(np.sort(mix.partners.numpy()), np.arange(4000))
    torch.manual_seed(0)
    assert torch.equal(Mix.drawn(4000, 0.4).shares, mix.shares)
