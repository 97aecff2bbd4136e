"""Group-DRO against its algorithm, written out step by step."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunewright.core.errors import TunewrightError
from tunewright.objectives import group_dro
from tunewright.train.course import Model
from tunewright.train.fairness import cells
from tunewright.train.loop import descend
from tunewright.train.step import Piece, plain

Make = Callable[..., Any]
ETA = 0.3


class Fixed(nn.Module):
    """Logits that are parameters."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, at: torch.Tensor) -> torch.Tensor:
        return self.logits[at]


def rows_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(logits, truth, reduction="none")


def piece_of(at: list[int], groups: list[int], truth: list[int], shares: list[float]) -> Piece:
    tensors = torch.tensor(at), torch.tensor(truth), torch.tensor(shares)
    return Piece({"at": tensors[0]}, tensors[1], tensors[2], rows_loss, groups=torch.tensor(groups))


def test_three_steps_of_the_algorithm() -> None:
    rows = torch.tensor([6, 3, 1])
    groups, truth = [0, 0, 1, 2, 1], [0, 1, 1, 0, 0]
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    dro, model = group_dro.GroupDro(plain, ETA, rows), Fixed(logits)
    q, shares = np.full(3, 1 / 3), np.array([0.6, 0.3, 0.1])
    losses = rows_loss(logits, torch.tensor(truth)).numpy()
    for number in range(3):
        picked = [[0, 1, 2, 3, 4], [0, 2], [3, 4, 1]][number]
        expected = sum(q[groups[at]] / shares[groups[at]] * losses[at] / len(picked) for at in picked)
        halves = [picked[:1], picked[1:]]  # a step that is added up from pieces
        total = sum(
            float(
                dro(
                    model,
                    piece_of(
                        some, [groups[at] for at in some], [truth[at] for at in some], [1 / len(picked)] * len(some)
                    ),
                )
            )
            for some in halves
        )
        assert total == pytest.approx(expected, rel=1e-5)
        dro.after_step(number + 1, 3)
        for group in range(3):
            own = [losses[at] for at in picked if groups[at] == group]
            q[group] *= np.exp(ETA * np.mean(own)) if own else 1.0
        q /= q.sum()
        np.testing.assert_allclose(dro.weights.numpy(), q, rtol=1e-5)
    assert dro.carried["group_dro.q"] is dro.weights


def test_with_equal_groups_and_no_step_yet_it_changes_nothing() -> None:
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    model, other = Fixed(logits.clone()), Fixed(logits.clone())
    piece = piece_of([0, 1, 2, 3], [0, 1, 0, 1], [0, 1, 1, 0], [0.25] * 4)
    assert float(group_dro.GroupDro(plain, ETA, torch.tensor([5, 5]))(model, piece)) == pytest.approx(
        float(plain(other, piece)), rel=1e-6
    )
    assert torch.allclose(model.logits.grad, other.logits.grad)  # type: ignore[arg-type]


def test_the_loop_hands_over_cells_and_follows_their_losses(make_context: Make) -> None:
    settings = {"objectives.group_dro": 0.5, "audit.groups": ["who"], "fit.epochs": 1, "fit.learning_rate": 1e-3}
    context = make_context("classify", settings, intents=2)
    model = Model(context.copy_of_encoder(), context.new_head())
    course = context.course("full", model)
    wanted = cells(context.parts["train"])
    assert course.feed.groups is not None
    assert course.feed.groups.tolist() == wanted[course.feed.windows.owner].tolist()
    q = course.carried["group_dro.q"].clone()
    descend(course, model)
    after = course.carried["group_dro.q"]
    assert not torch.allclose(q, after)
    assert float(after.sum()) == pytest.approx(1.0, abs=1e-5)


def test_rows_without_groups_are_refused() -> None:
    context = SimpleNamespace(parts={"train": SimpleNamespace(truth=[0, 1], groups=())})
    with pytest.raises(TunewrightError, match=r"the task names no groups → set audit.groups"):
        group_dro.wrap(plain, ETA, context)  # type: ignore[arg-type]
