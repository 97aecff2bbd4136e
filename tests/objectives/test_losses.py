"""Label smoothing, focal loss, class weights and R-Drop against torch's own losses and plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tunewright.objectives import class_weight, focal, rdrop
from tunewright.train.step import Piece

Run = Callable[..., Any]
Truths = dict[str, Tensor]
Losses = dict[str, Callable[[Tensor, Tensor], Tensor]]
ROWS = 6


def compared(found: tuple[Tensor, Tensor, Tensor], expected: Callable[[Tensor], Tensor]) -> None:
    """Loss and gradient are those of ``expected(logits)``, a number, in float64."""
    total, given, gradient = found
    logits = given.double().requires_grad_()
    value = expected(logits)
    value.backward()  # type: ignore[no-untyped-call]
    assert total.item() == pytest.approx(value.item(), rel=1e-5)
    torch.testing.assert_close(gradient.double(), logits.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 0.5])
def test_smoothed_labels_as_torch_has_them(epsilon: float, on_logits: Run, truths: Truths, weights: Tensor) -> None:
    def torch_own(logits: Tensor) -> Tensor:
        losses = functional.cross_entropy(logits[:ROWS], truths["classify"], reduction="none", label_smoothing=epsilon)
        return (losses * weights).sum()

    compared(on_logits("classify", label_smoothing=epsilon), torch_own)


def test_smoothed_labels_of_several_go_towards_a_half(on_logits: Run, truths: Truths, weights: Tensor) -> None:
    soft = truths["multilabel"].double() * 0.8 + 0.1

    def by_hand(logits: Tensor) -> Tensor:
        each = functional.binary_cross_entropy(logits[:ROWS].sigmoid(), soft, reduction="none")
        return (each.sum(1) * weights).sum()

    compared(on_logits("multilabel", label_smoothing=0.2), by_hand)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_by_the_papers_formula(gamma: float, on_logits: Run, truths: Truths, weights: Tensor) -> None:
    def softmax(logits: Tensor) -> Tensor:
        p = logits[:ROWS].softmax(1)[torch.arange(ROWS), truths["classify"]]
        return (-((1 - p) ** gamma) * p.log() * weights).sum()

    def sigmoids(logits: Tensor) -> Tensor:
        p = torch.where(truths["multilabel"] > 0, logits[:ROWS].sigmoid(), 1 - logits[:ROWS].sigmoid())
        return (-((1 - p) ** gamma * p.log()).sum(1) * weights).sum()

    compared(on_logits("classify", focal=gamma), softmax)
    compared(on_logits("multilabel", focal=gamma), sigmoids)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("logit", [0.0, 20.0, 1e4, -1e4])
def test_focal_loss_of_a_sure_row_has_a_finite_slope(gamma: float, logit: float) -> None:
    for change, shares in ((focal._classify, [[1.0, 0.0, 0.0]]), (focal._multilabel, [[1.0, 0.0, 1.0]])):
        logits = torch.tensor([[logit, 0.0, -1.0]], requires_grad=True)
        value = change(logits, torch.tensor(shares), gamma).sum()
        value.backward()  # type: ignore[no-untyped-call]
        assert torch.isfinite(value)
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_class_weights_as_torch_has_them(power: float, on_logits: Run, truths: Truths, weights: Tensor) -> None:
    """Rows of the training set: 10, 2, 4 and none of the four classes."""
    rows = np.repeat([0, 1, 2], [10, 2, 4])
    raw = np.array([(16 / (3 * count)) ** power for count in (10, 2, 4)])
    of_class = torch.tensor([*(raw / (raw * [10, 2, 4]).sum() * 16), 0.0])

    def torch_own(logits: Tensor) -> Tensor:
        losses = functional.cross_entropy(logits[:ROWS], truths["classify"], of_class, reduction="none")
        return (losses * weights).sum()

    compared(on_logits("classify", rows, class_weight=power), torch_own)
    assert of_class.numpy()[rows].mean() == pytest.approx(1.0)


def test_class_weights_of_strength_1_are_scikit_learns_balanced_ones() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    rows = np.repeat(np.arange(3), [7, 1, 12])
    found = class_weight.of_classes(rows, np.ones(20), 3, 1.0)
    np.testing.assert_allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=rows))


def test_classes_that_are_oversampled_already_are_not_weighted_again(
    context_of: Run, truths: Truths, losses: Losses
) -> None:
    rows = np.repeat(np.arange(4), [30, 2, 5, 10])
    seen = []

    def step(model: Any, piece: Any) -> Tensor:
        seen.append(piece.weights)
        return torch.zeros(())

    piece = Piece({}, truths["classify"], torch.full((ROWS,), 0.25), losses["classify"])
    for oversample in (1.0, 0.0):
        wrapped = class_weight.wrap(step, 1.0, context_of("classify", rows, oversample=oversample))
        wrapped(torch.nn.Identity(), piece)
    torch.testing.assert_close(seen[0], piece.weights)
    assert seen[1][0] < 0.25 < seen[1][2]


@pytest.mark.parametrize("kind", ["classify", "multilabel", "regress"])
def test_r_drop_by_the_authors_code(kind: str, on_logits: Run, truths: Truths, weights: Tensor, losses: Losses) -> None:
    alpha = 0.7

    def authors(logits: Tensor) -> Tensor:
        one, other = logits.chunk(2)
        loss = (losses[kind](one, truths[kind]) + losses[kind](other, truths[kind])) / 2
        if kind == "regress":
            apart = (one - other)[:, 0] ** 2
        elif kind == "classify":
            apart = (kl(one.softmax(1), other.softmax(1)) + kl(other.softmax(1), one.softmax(1))) / 2
        else:
            p, q = (torch.stack([part.sigmoid(), 1 - part.sigmoid()], -1) for part in (one, other))
            apart = ((kl(p, q) + kl(q, p)) / 2).sum(1)
        return ((loss + alpha * apart) * weights).sum()

    compared(on_logits(kind, rdrop=alpha), authors)


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum(-1)


def test_r_drop_of_two_equal_passes_is_the_loss_itself() -> None:
    logits = torch.tensor([[3.0, -1.0], [0.0, 40.0], [-2.0, 0.5]])
    for apart in rdrop.APART.values():
        torch.testing.assert_close(apart(logits, logits), torch.zeros(3))
