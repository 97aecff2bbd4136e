"""The one gradient loop: batches of like length, warm-up and decay, moving average, early stopping, best kept.

Whatever is trained by gradient is a ``Course`` through this loop: a method's classifier, pairs of texts, masked words.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array
from tunewright.train.checkpoint import Checkpoints, named
from tunewright.train.course import Best, Course
from tunewright.train.moving import Moving
from tunewright.train.pieces import Pieces
from tunewright.train.plan import Plan
from tunewright.train.workers.team import ALONE, Team

CLIP = 1.0
"""Largest norm of the gradient of one step."""


def descend(course: Course, model: nn.Module) -> tuple[Best, dict[str, Any]]:
    """Train what has ``requires_grad`` in ``model``, which holds the best values afterwards.

    The values to begin with are judged too, so the result is never worse on the validation part than the start. A
    course that a kill cut short goes on from its last checkpoint.

    Returns
    -------
    The best, and what is to be told of the training. Where the loss stops being finite, training ends with the best so
    far and says so.
    """
    if course.run.elsewhere is not None:
        best, told = course.run.elsewhere(course, model)
        return best, told
    return descend_here(course, model)


def descend_here(course: Course, model: nn.Module, team: Team = ALONE) -> tuple[Best, dict[str, Any]]:
    """As ``descend``, by this process, as one of a team; only the first one's best has outputs."""
    return _Descent(course, model, team).run()


class _Descent:
    def __init__(self, course: Course, model: nn.Module, team: Team) -> None:
        self.course = course
        self.team = team
        self.model = model.to(course.device)
        self.moving = Moving(model, course.fit.average)
        self.optimiser = torch.optim.AdamW(course.groups(model, course.fit.weight_decay), lr=course.rate, fused=True)
        self.checkpoints = Checkpoints(course.checkpoints, course.run)
        self.per_epoch = math.ceil(len(course.feed) / course.fit.batch_rows)
        self.draws = np.random.default_rng(course.seed)
        self.pieces = Pieces(course, self.model, team, lambda: self.optimiser.zero_grad(set_to_none=True))
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
        told |= {"workers": self.team.size} if self.team.size > 1 else {}
        return self.best, {"stopped": self.stopped, **told, "trainable_parameters": self.moving.size}

    def _begin(self) -> None:
        """At the beginning, or after the last checkpoint, if there is one."""
        kept = self.team.agree(self.checkpoints.latest() if self.team.first else None)
        if kept is not None:
            self.moving.restore(named("best", kept[0]))
        self.best, self.plan = self._started()
        if kept is not None:
            self._go_on(*kept)
        self._note_begin()

    def _note_begin(self) -> None:
        """The first line of this training in the journal."""
        course, best = self.course, self.best
        sizes = {"step": self.step, "steps": self.plan.steps, "trainable_parameters": self.moving.size}
        told = {"metric": course.metric, "score": best.scores[0], "best": best.score, "unit": course.unit}
        label = course.checkpoints.name.rpartition("-")[0].removesuffix("-1") or course.name
        course.run.note("begin", method=course.name, course=label, work=course.run.work.name, **sizes, **told)

    def _started(self) -> tuple[Best, Plan]:
        course = self.course
        begun = course.run.elapsed
        score, outputs = self._judged()
        pass_seconds = (course.run.elapsed - begun) * course.held_out_passes
        plan = Plan(course.fit.epochs * self.per_epoch, course.rate, course.fit.warmup, course.run, pass_seconds)
        return Best(self.moving.copy(), score, outputs, scores=[score]), plan

    def _epoch(self) -> None:
        course = self.course
        self._epoch_draws = self.draws.bit_generator.state
        for index in course.feed.epoch(course.fit.batch_rows, self.draws)[self.batch :]:
            if self._over():
                break
            if not self._stepped(index):
                return
        self._judge()
        self.epoch, self.batch = self.epoch + 1, 0
        self.stopped = self.team.agree(self._why_stopped())
        # After a kill the whole training is wanted.
        if self.team.first and self.checkpoints.due and not course.run.interrupted:
            self._save(self.draws.bit_generator.state)

    def _over(self) -> bool:
        """Whether no further step is made; the first one's clock and plan are those of all."""
        over, steps = self.team.agree_on(self.course.run.stopping, self.plan.steps)
        self.plan.steps = int(steps)
        return bool(over) or self.step >= self.plan.steps

    def _stepped(self, index: Array) -> bool:
        """One step of the optimiser; false where the loss is not finite."""
        course = self.course
        begun = time.monotonic()
        loss = self.team.add_up(list(self.moving.parameters.values()), self.pieces.gradients(index, self.step))
        if not math.isfinite(loss):
            self.stopped = "loss is not finite"
            remedy = f"lower fit.learning_rate (now {course.rate:g})"
            said = f"the loss is not finite at step {self.step}: the best so far is kept → {remedy}"
            course.run.log("astray", say=said)
            return False
        rate = self.plan.rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        course.before_step()
        nn.utils.clip_grad_norm_(self.moving.parameters.values(), CLIP)
        self.optimiser.step()
        course.after_step(self.step + 1, self.plan.steps)
        self.optimiser.zero_grad(set_to_none=True)
        self.moving.after_step()
        self.step, self.batch = self.step + 1, self.batch + 1
        self.plan.look(self.step)
        cost = int(course.feed.windows.cost[index].sum())
        self.pieces.give_back(cost)
        facts = self._facts(cost, max(time.monotonic() - begun, 1e-9))
        course.run.progress("train", self.step / self.plan.steps, loss=loss, learning_rate=rate, **facts)
        if self.team.first and self.checkpoints.due:
            self._save(self._epoch_draws)
        return True

    def _facts(self, cost: int, took: float) -> dict[str, Any]:
        """What a step that cost so much in so many seconds tells of the whole training."""
        course, steps = self.course, self.plan.steps
        place = {"method": course.name, "epoch": self.epoch + 1, "step": self.step, "steps": steps}
        speed = {"cost": cost, "took": took, "cost_per_second": round(cost / took), "unit": course.unit}
        score = {"metric": course.metric, "best": self.best.score}
        return place | speed | score | {"left_seconds": self.plan.left_seconds(self.step)}

    def _judged(self) -> tuple[float, Any]:
        """The first one's judgement of what the model holds; what that changes (a pruning) changes everywhere."""
        score, outputs = self.course.judge(self.model) if self.team.first else (0.0, None)
        self.team.spread(self.moving.parameters.values())
        return self.team.agree(score), outputs

    def _judge(self) -> None:
        course, best = self.course, self.best
        if not self.team.alike(self.moving.parameters.values()):
            raise TunewrightError(
                f"{course.name}: after epoch {self.epoch + 1} the workers' weights differ",
                "use machines of one kind, or --workers 1",
            )
        with self.moving.as_shipped():
            score, outputs = self._judged()
            best.scores.append(score)
            if score > best.score:
                best.values, best.score, best.outputs = self.moving.copy(), score, outputs
                best.step, best.misses = self.step, 0
            else:
                best.misses += 1
        of = f"epoch {self.epoch + 1} of {course.fit.epochs}"
        said = f"{of}: validation {course.metric} {score:.4f} (best {best.score:.4f})"
        told = {"step": self.step, "metric": course.metric, "score": score, "best": best.score, "say": said}
        course.run.log("epoch", method=course.name, epoch=self.epoch + 1, **told)

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
            "place": [self.step, self.epoch, self.batch, self.pieces.budget, self.moving.averaged_steps],
            "draws": draws,
            "best": [best.score, best.step, best.misses, best.scores],
            "plan": [self.plan.steps, self.plan.spent],
            "stopped": self.stopped,
            "seconds": run.elapsed,
            "threads": torch.get_num_threads(),
            "workers": self.team.size,
        }
        self.checkpoints.save(tensors, facts)

    def _go_on(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Continue after a checkpoint."""
        best, run, moving = self.best, self.course.run, self.moving
        best.score, best.step, best.misses, best.scores = facts["best"]
        self.step, self.epoch, self.batch, self.pieces.budget, moving.averaged_steps = facts["place"]
        moving.restore(named("now", tensors))
        average = named("average", tensors)
        moving.average = [average[name].to(one.device) for name, one in moving.parameters.items()] if average else None
        for key in ("step", "exp_avg", "exp_avg_sq"):
            for name, value in named(key, tensors).items():
                self.optimiser.state[moving.parameters[name]][key] = value.to(self.course.device)
        for name, value in named("carried", tensors).items():
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
        if facts.get("workers", 1) != self.team.size:
            said += f"; {self.team.size} workers instead of {facts['workers']} draw other numbers from here on"
        run.log("resumed", method=self.course.name, step=self.step, say=said)
