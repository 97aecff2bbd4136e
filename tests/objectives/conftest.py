"""Small steps whose every number a test knows: logits that are parameters, and a network without dropout."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tunewright.core import plugins
from tunewright.heads.classify import ClassifyHead
from tunewright.heads.multilabel import MultilabelHead
from tunewright.heads.regress import RegressHead
from tunewright.train.course import Model
from tunewright.train.step import Piece, plain

CLASSES, ROWS, WIDTH, TOKENS = 4, 6, 8, 5


class Given(nn.Module):
    """Logits (b, k) that are parameters: row i of what is asked gets row i of the table."""

    def __init__(self, rows: int, size: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(2 * torch.randn(rows, size, generator=torch.Generator().manual_seed(1)))

    def forward(self, at: Tensor) -> Tensor:
        return self.logits[: len(at)]


class Words(nn.Module):
    """A small encoder: words, a bent sum with the tokens beside, states and mask."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, WIDTH)
        self.bend = nn.Linear(WIDTH, WIDTH)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.upon(self.words(input_ids), attention_mask)

    def upon(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """From the outputs of ``words``."""
        mixed = states + (states * mask.unsqueeze(-1)).sum(1, keepdim=True)
        return torch.tanh(self.bend(mixed)), mask.float()


@pytest.fixture
def context_of() -> Callable[..., Any]:
    """What ``wrap`` looks at: the kind, the training rows, the task."""

    def make(kind: str, truth: Any = (), *, oversample: float = 0.0, size: int = CLASSES) -> Any:
        fit = SimpleNamespace(oversample=oversample)
        own = SimpleNamespace(size=size, encode=lambda values: values)
        return SimpleNamespace(
            kind=own,
            target=SimpleNamespace(kind=kind),
            parts={"train": SimpleNamespace(truth=truth, groups=["f", "m", "f", "m", "f"][: len(truth)])},
            task=SimpleNamespace(fit=fit, seed=0),
        )

    return make


@pytest.fixture
def losses() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Kind → the loss of its head."""
    return LOSSES


@pytest.fixture
def words_model() -> nn.Module:
    """The small encoder under a head of four classes; the same weights at each call."""
    torch.manual_seed(0)
    head = ClassifyHead(WIDTH, SimpleNamespace(size=CLASSES), "mean")  # type: ignore[arg-type]
    return Model(Words(), head)


@pytest.fixture
def words_piece(truths: dict[str, Tensor], weights: Tensor) -> Piece:
    """Rows of 3 to 5 tokens for it."""
    draws = torch.Generator().manual_seed(2)
    mask = (torch.arange(TOKENS) < torch.tensor([5, 3, 4, 5, 3, 4])[:, None]).long()
    arrays = {"input_ids": torch.randint(20, (ROWS, TOKENS), generator=draws) * mask, "attention_mask": mask}
    groups = torch.tensor([0, 1, 0, 1, 0, 1])
    return Piece(arrays, truths["classify"], weights, ClassifyHead.loss, groups=groups)


@pytest.fixture
def truths() -> dict[str, Tensor]:
    """Kind → truth of ``ROWS`` rows."""
    return {
        "classify": torch.tensor([0, 3, 1, 0, 2, 3]),
        "multilabel": torch.tensor(
            [[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
        ).to(torch.uint8),
        "regress": torch.tensor([1.0, 2.0, 5.0, 4.0, 3.5, -1.0], dtype=torch.float64),
    }


@pytest.fixture
def weights() -> Tensor:
    """Unequal shares of ``ROWS`` rows in a step's loss."""
    return torch.tensor([0.05, 0.1, 0.2, 0.15, 0.1, 0.05])


def squared(logits: Tensor, truth: Tensor) -> Tensor:
    """The loss of a regression with mean 1 and spread 2."""
    return RegressHead.loss(SimpleNamespace(mean=1.0, scale=2.0), logits, truth)  # type: ignore[arg-type]


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classify": ClassifyHead.loss,
    "multilabel": MultilabelHead.loss,
    "regress": squared,
}


@pytest.fixture
def on_logits(context_of: Callable[..., Any], truths: dict[str, Tensor], weights: Tensor) -> Callable[..., Any]:
    """``on_logits("classify", focal=2.0)`` → loss, logits, their gradient; objectives outermost first."""

    def run(kind: str, truth: Any = (), **objectives: float) -> tuple[Tensor, Tensor, Tensor]:
        step = plain
        for name, strength in reversed(objectives.items()):
            step = plugins.load("objectives", name).wrap(step, strength, context_of(kind, truth))
        model = Given(2 * ROWS, 1 if kind == "regress" else CLASSES)
        total = step(model, Piece({"at": torch.arange(ROWS)}, truths[kind], weights, LOSSES[kind]))
        assert model.logits.grad is not None
        return total, model.logits.detach(), model.logits.grad

    return run
