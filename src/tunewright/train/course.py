"""What the loop is given and what it gives back: the model, the course, the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunewright.core.run import Run
from tunewright.core.sections import Fit
from tunewright.train.feed import Feed
from tunewright.train.step import Loss, Step, plain

Judge = Callable[[nn.Module], tuple[float, Any]]
"""model → (score on the validation part, higher is better; its outputs there)"""
Groups = Callable[[nn.Module, float], list[dict[str, Any]]]
"""(model, weight decay) → the optimiser's groups; a group's ``share`` scales its step size"""
BeforeStep = Callable[[], None]
"""Called when the gradients of a step are all there, before they are clipped"""
AfterStep = Callable[[int, int], None]
"""(steps made, steps planned), called after the optimiser's step, while the gradients are still there"""


def one_after_other(*hooks: AfterStep) -> AfterStep:
    """What calls each of them in turn."""

    def after_step(step: int, planned: int) -> None:
        for hook in hooks:
            hook(step, planned)

    return after_step


class Model(nn.Module):
    """Encoder and head, trained together."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, **arrays: Tensor) -> Tensor:
        states, mask = self.encoder(**arrays)
        return self.head(states.float(), mask).float()  # type: ignore[no-any-return]


def decayed(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and norms do not."""
    moving = [one for one in model.parameters() if one.requires_grad]
    return [
        {"params": [one for one in moving if one.ndim >= 2], "weight_decay": decay},
        {"params": [one for one in moving if one.ndim < 2], "weight_decay": 0.0},
    ]


@dataclass(frozen=True)
class Course:
    """One training by gradient: from what, by which loss, judged how.

    name : in its log lines; metric : what ``judge`` measures; unit : what the windows' cost counts
    checkpoints : folder of its checkpoints; another course, or the same on other weights, has another one
    rate : peak step size; step : ``plain``, wrapped by the objectives
    held_out_passes : how many times the cost of a judgement one pass over the rows takes that the graphs are judged on
    carried : tensors that ``after_step`` changes in place; they are part of a checkpoint
    """

    name: str
    checkpoints: Path
    feed: Feed
    loss: Loss
    judge: Judge
    metric: str
    fit: Fit
    seed: int
    rate: float
    run: Run
    device: torch.device
    bf16: bool
    step: Step = plain
    groups: Groups = decayed
    held_out_passes: float = 0.0
    unit: str = "tokens"
    before_step: BeforeStep = lambda: None
    after_step: AfterStep = lambda step, planned: None
    carried: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass
class Best:
    """The best values of what moves, by the score of the validation part; a later one must be better."""

    values: dict[str, Tensor]
    score: float
    outputs: Any
    step: int = 0
    misses: int = 0
    scores: list[float] = field(default_factory=list)
