"""The supervised contrastive term against loops in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tunewright.objectives import mixup, rdrop, supcon
from tunewright.train.step import Piece, plain

Make = Callable[..., Any]


def by_hand(vectors: NDArray[Any], truth: NDArray[Any], temperature: float) -> list[float]:
    found = []
    for row, one in enumerate(vectors):
        others = [at for at in range(len(vectors)) if at != row]
        alike = [at for at in others if truth[at] == truth[row]]
        below = sum(np.exp(one @ vectors[at] / temperature) for at in others)
        terms = [np.log(np.exp(one @ vectors[at] / temperature) / below) for at in alike]
        found.append(-sum(terms) / len(alike) if alike else 0.0)
    return found


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_it_is_the_papers_formula(temperature: float) -> None:
    draws = np.random.default_rng(0)
    vectors = draws.normal(size=(9, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    truth = np.array([0, 1, 1, 2, 0, 3, 1, 0, 0])
    found = supcon.contrast(torch.from_numpy(vectors), torch.from_numpy(truth), temperature)
    np.testing.assert_allclose(found, by_hand(vectors, truth, temperature), rtol=1e-4, atol=1e-6)
    assert found[3] == found[5] == 0, "rows that are alone in their class"


@pytest.mark.parametrize("truth", [[0], [0, 1], [0, 0]])
def test_few_rows_have_a_finite_slope(truth: list[int]) -> None:
    vectors = torch.eye(2)[: len(truth)].clone().requires_grad_()
    supcon.contrast(vectors, torch.tensor(truth)).sum().backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


def test_it_is_added_to_the_loss_with_its_strength(words_model: Any, words_piece: Piece, context_of: Make) -> None:
    vectors = words_model.head.pooled.embed(*words_model.encoder(**words_piece.arrays))
    term = by_hand(vectors.detach().double().numpy(), words_piece.truth.numpy(), supcon.TEMPERATURE)
    expected = plain(words_model, words_piece) + 0.7 * (torch.tensor(term) * words_piece.weights).sum()
    found = supcon.wrap(plain, 0.7, context_of("classify"))(words_model, words_piece)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    assert not words_model.head.pooled.embed._forward_hooks


def test_in_bf16_the_products_are_still_exact() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(8, 16), dim=1)
    truth = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    with torch.autocast("cpu", torch.bfloat16):
        found = supcon.contrast(vectors, truth)
    assert torch.equal(found, supcon.contrast(vectors, truth))


def test_before_mixup_it_sees_the_rows_themselves(words_model: Any, words_piece: Piece, context_of: Make) -> None:
    """What supcon adds is the same with mixup behind it, and with each row twice."""
    context = context_of("classify")
    alone = supcon.wrap(plain, 1.0, context)(words_model, words_piece) - plain(words_model, words_piece)
    torch.manual_seed(0)
    mixed = mixup.wrap(plain, 0.4, context)
    without = mixed(words_model, words_piece)
    torch.manual_seed(0)
    both = supcon.wrap(mixed, 1.0, context)(words_model, words_piece) - without
    vectors = words_model.head.pooled.embed(*words_model.encoder(**words_piece.arrays)).detach()
    term = supcon.contrast(vectors, words_piece.truth)
    assert alone.item() == pytest.approx((term * words_piece.weights).sum().item(), rel=1e-4)
    torch.manual_seed(0)
    weights = mixup.Mix.drawn(6, 0.4)(words_piece.weights)
    assert both.item() == pytest.approx((term * weights).sum().item(), rel=1e-4)
    twice = supcon.contrast(vectors.repeat(2, 1), words_piece.truth.repeat(2))
    doubled = supcon.wrap(rdrop.wrap(plain, 1.0, context), 1.0, context)(words_model, words_piece)
    expected = plain(words_model, words_piece) + (twice[:6] * words_piece.weights).sum()
    assert doubled.item() == pytest.approx(expected.item(), rel=1e-4)
