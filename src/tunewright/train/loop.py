"""The one gradient loop: batches of like length, warm-up and decay, moving average, early stopping, best kept.

Whatever is trained by gradient is a ``Course`` through this loop: a method's classifier, pairs of texts, masked words.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.core.run import Run
from tunewright.core.task import Fit
from tunewright.core.types import Array
from tunewright.train.checkpoint import Checkpoints
from tunewright.train.device import fast, give_back
from tunewright.train.feed import STEP_BUDGET, Feed
from tunewright.train.moving import Moving
from tunewright.train.plan import Plan
from tunewright.train.step import Loss, Piece, Step, plain

Judge = Callable[[nn.Module], tuple[float, Any]]
"""model → (score on the validation part, higher is better; its outputs there)"""
Groups = Callable[[nn.Module, float], list[dict[str, Any]]]
"""(model, weight decay) → the optimiser's groups; a group's ``share`` scales its step size"""
AfterStep = Callable[[int, int], None]
"""(steps made, steps planned), called after the optimiser's step, while the gradients are still there"""

CLIP = 1.0
"""Largest norm of the gradient of one step."""
TRIM_STEPS = 20
"""Steps after which freed memory is given back."""


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

    name : in its log lines; metric : what ``judge`` measures
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


def descend(course: Course, model: nn.Module) -> tuple[Best, dict[str, Any]]:
    """Train what has ``requires_grad`` in ``model``, which holds the best values afterwards.

    The values to begin with are judged too, so the result is never worse on the validation part than the start. A
    course that a kill cut short goes on from its last checkpoint.

    Returns
    -------
    The best, and what is to be told of the training. Where the loss stops being finite, training ends with the best so
    far and says so.
    """
    return _Descent(course, model).run()


class _Descent:
    def __init__(self, course: Course, model: nn.Module) -> None:
        self.course = course
        self.model = model.to(course.device)
        self.moving = Moving(model, course.fit.average)
        self.optimiser = torch.optim.AdamW(course.groups(model, course.fit.weight_decay), lr=course.rate, fused=True)
        self.checkpoints = Checkpoints(course.checkpoints, course.run)
        self.per_epoch = math.ceil(len(course.feed) / course.fit.batch_rows)
        self.draws = np.random.default_rng(course.seed)
        self.budget = STEP_BUDGET
        self.step = 0
        self.epoch = 0
        self.batch = 0
        """Batches of this epoch that are done."""
        self.stopped = ""

    def run(self) -> tuple[Best, dict[str, Any]]:
        torch.manual_seed(self.course.seed)
        self._begin()
        while not self.stopped:
            self._epoch()
        self.moving.restore(self.best.values)
        told = {"steps": self.step, "best_step": self.best.step, "scores": self.best.scores}
        return self.best, {"stopped": self.stopped, **told, "trainable_parameters": self.moving.size}

    def _begin(self) -> None:
        """At the beginning, or after the last checkpoint, if there is one."""
        kept = self.checkpoints.latest()
        if kept is not None:
            self.moving.restore(_named("best", kept[0]))
        self.best, self.plan = self._started()
        if kept is not None:
            self._go_on(*kept)

    def _started(self) -> tuple[Best, Plan]:
        course = self.course
        begun = course.run.elapsed
        score, outputs = course.judge(self.model)
        pass_seconds = (course.run.elapsed - begun) * course.held_out_passes
        plan = Plan(course.fit.epochs * self.per_epoch, course.rate, course.fit.warmup, course.run, pass_seconds)
        return Best(self.moving.copy(), score, outputs, scores=[score]), plan

    def _epoch(self) -> None:
        course = self.course
        self._epoch_draws = self.draws.bit_generator.state
        for index in course.feed.epoch(course.fit.batch_rows, self.draws)[self.batch :]:
            if course.run.stopping or self.step >= self.plan.steps:
                break
            if not self._stepped(index):
                return
        self._judge()
        self.epoch, self.batch = self.epoch + 1, 0
        self.stopped = self._why_stopped()
        if self.checkpoints.due and not course.run.interrupted:  # after a kill the whole training is wanted
            self._save(self.draws.bit_generator.state)

    def _stepped(self, index: Array) -> bool:
        """One step of the optimiser; false where the loss is not finite."""
        course = self.course
        begun = time.monotonic()
        loss = self._gradients(index)
        if not math.isfinite(loss):
            self.stopped = "loss is not finite"
            remedy = f"lower fit.learning_rate (now {course.rate:g})"
            said = f"the loss is not finite at step {self.step}: the best so far is kept → {remedy}"
            course.run.log("astray", say=said)
            return False
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate(self.step) * group.get("share", 1.0)
        nn.utils.clip_grad_norm_(self.moving.parameters.values(), CLIP)
        self.optimiser.step()
        course.after_step(self.step + 1, self.plan.steps)
        self.optimiser.zero_grad(set_to_none=True)
        self.moving.after_step()
        self.step, self.batch = self.step + 1, self.batch + 1
        self.plan.look(self.step)
        if self.step % TRIM_STEPS == 0:
            give_back()
        speed = int(course.feed.windows.cost[index].sum()) / max(time.monotonic() - begun, 1e-9)
        done = self.step / self.plan.steps
        course.run.progress("train", done, loss=loss, epoch=self.epoch + 1, cost_per_second=round(speed))
        if self.checkpoints.due:
            self._save(self._epoch_draws)
        return True

    def _gradients(self, index: Array) -> float:
        """Gradients of one batch, added up from pieces; smaller pieces where memory does not allow these."""
        while True:
            try:
                return self._added_up(index)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error) or self.budget <= int(self.course.feed.windows.cost[index].min()):
                    raise
                self.budget //= 2
                self.optimiser.zero_grad(set_to_none=True)
                self.course.run.log(
                    "memory", say=f"out of memory: going on with pieces of {self.budget} tokens instead of twice that"
                )

    def _added_up(self, index: Array) -> float:
        course = self.course
        self.model.train()
        loss = 0.0
        with fast(course.device, course.bf16):
            for rows, weights in course.feed.pieces(index, self.budget):
                arrays, truth = course.feed.inputs(rows, course.device), course.feed.truth(rows, course.device)
                shares = torch.from_numpy(weights).to(course.device, torch.float32)
                loss += float(course.step(self.model, Piece(arrays, truth, shares, course.loss)))
        return loss

    def _judge(self) -> None:
        course, best = self.course, self.best
        with self.moving.as_shipped():
            score, outputs = course.judge(self.model)
            best.scores.append(score)
            if score > best.score:
                best.values, best.score, best.outputs = self.moving.copy(), score, outputs
                best.step, best.misses = self.step, 0
            else:
                best.misses += 1
        of = f"epoch {self.epoch + 1} of {course.fit.epochs}"
        said = f"{of}: validation {course.metric} {score:.4f} (best {best.score:.4f})"
        course.run.log("epoch", method=course.name, epoch=self.epoch + 1, step=self.step, score=score, say=said)

    def _why_stopped(self) -> str:
        """Why training is over after this epoch; empty where it is not."""
        course = self.course
        if course.run.interrupted:
            return "interrupted"
        if self.step >= course.fit.epochs * self.per_epoch:
            return "epochs"
        if course.run.stopping or self.step >= self.plan.steps:
            return "minutes"
        return "no gain" if self.best.misses >= course.fit.patience else ""

    def _save(self, draws: Any) -> None:
        """Everything that the next step depends on."""
        tensors = {"torch_rng": torch.get_rng_state()}
        tensors |= {f"carried.{name}": one for name, one in self.course.carried.items()}
        for at, (name, one) in enumerate(self.moving.parameters.items()):
            tensors |= {f"now.{name}": one, f"best.{name}": self.best.values[name]}
            tensors |= {f"{key}.{name}": value for key, value in self.optimiser.state.get(one, {}).items()}
            if self.moving.average is not None:
                tensors[f"average.{name}"] = self.moving.average[at]
        best, run = self.best, self.course.run
        facts = {
            "place": [self.step, self.epoch, self.batch, self.budget, self.moving.averaged_steps],
            "draws": draws,
            "best": [best.score, best.step, best.misses, best.scores],
            "plan": [self.plan.steps, self.plan.spent],
            "stopped": self.stopped,
            "seconds": run.elapsed,
            "threads": torch.get_num_threads(),
        }
        self.checkpoints.save(tensors, facts)

    def _go_on(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Continue after a checkpoint."""
        best, run, moving = self.best, self.course.run, self.moving
        best.score, best.step, best.misses, best.scores = facts["best"]
        self.step, self.epoch, self.batch, self.budget, moving.averaged_steps = facts["place"]
        moving.restore(_named("now", tensors))
        average = _named("average", tensors)
        moving.average = [average[name].to(one.device) for name, one in moving.parameters.items()] if average else None
        for key in ("step", "exp_avg", "exp_avg_sq"):
            for name, value in _named(key, tensors).items():
                self.optimiser.state[moving.parameters[name]][key] = value.to(self.course.device)
        for name, value in _named("carried", tensors).items():
            self.course.carried[name].copy_(value)
        self.draws.bit_generator.state = facts["draws"]
        torch.set_rng_state(tensors["torch_rng"])
        self.stopped = facts["stopped"]
        run.reach(facts["seconds"])
        self.plan.go_on(*facts["plan"])
        said = f"{self.course.name}: goes on after step {self.step}, from the last checkpoint"
        if facts["threads"] != torch.get_num_threads():
            other = f"{torch.get_num_threads()} threads instead of {facts['threads']}"
            said += f"; with {other} the last bits of the weights differ from those of a run that was never stopped"
        run.log("resumed", method=self.course.name, step=self.step, say=said)


def _named(key: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a checkpoint under one key, by the names of the parameters."""
    return {name.removeprefix(f"{key}."): one for name, one in tensors.items() if name.startswith(f"{key}.")}


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
