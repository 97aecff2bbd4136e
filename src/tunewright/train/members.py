"""Several trainings from one start, each with batches and dropout of its own; what has ended is kept through a kill."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tunewright.core.share import within
from tunewright.train.checkpoint import Checkpoints, named
from tunewright.train.course import Course, Model
from tunewright.train.loop import descend
from tunewright.train.moving import Moving

STRIDE = 1_000_003
"""Between the seeds of two members; the first has the course's own, so it is the training that would be made alone."""

Values = Mapping[str, Tensor]


@dataclass(frozen=True)
class Member:
    """One training that has ended.

    values : of what moves, the best ones; carried : as in the course
    score, outputs : of the validation part
    """

    values: Values
    carried: Values
    score: float
    outputs: Any
    facts: dict[str, Any] = field(default_factory=dict)


class Place:
    """The model of a course, into which values are put and judged."""

    def __init__(self, course: Course, model: Model) -> None:
        self.course = course
        self.model: Model = model.to(course.device)
        self.moving = Moving(model, 0.0)
        self.start = Member(self.moving.copy(), _copied(course.carried), 0.0, None)

    @torch.no_grad()
    def put(self, values: Values, carried: Values) -> None:
        self.moving.restore(values)
        for name, one in self.course.carried.items():
            one.copy_(carried[name])

    def judged(self, values: Values, carried: Values, facts: dict[str, Any]) -> Member:
        """The model with these values; the judgement may change them before it looks at them."""
        self.put(values, carried)
        score, outputs = self.course.judge(self.model)
        return Member(self.moving.copy(), carried, score, outputs, facts)


def members(place: Place, count: int, *, shares: int, rates: Sequence[float] = (1.0,)) -> list[Member]:
    """Train ``count`` times from the place's start; at least once, and only as long as the time lasts.

    shares : equal shares of the time left, of which each member has one
    rates : factors of the step size, used in turn
    """
    course, made = place.course, list[Member]()
    for number in range(count):
        if made and course.run.stopping:
            said = f"{course.name}: {len(made)} of {count} trainings were made, the time is over"
            course.run.log("members", method=course.name, made=len(made), say=said)
            break
        place.put(place.start.values, place.start.carried)
        own = replace(
            course,
            seed=course.seed + STRIDE * number,
            rate=course.rate * rates[number % len(rates)],
            checkpoints=course.checkpoints.with_name(f"member{number + 1}-{course.checkpoints.name}"),
        )
        with within(course.run, course.run.left / (shares - number)):
            course.run.log("members", method=course.name, say=f"{course.name}: training {number + 1} of {count}")
            made.append(_member(place, own))
    return made


def _member(place: Place, own: Course) -> Member:
    """Train, or take up what an earlier process ended; judged anew either way, so that both are the same to the bit."""
    kept = Checkpoints(own.checkpoints.with_name(f"{own.checkpoints.name}-ended"), own.run)
    found = kept.latest()
    if found is not None:
        tensors, told = found
        own.run.reach(told["seconds"])
        own.run.log("resumed", method=own.name, say=f"{own.name}: this training had ended and is taken up")
        return place.judged(named("value", tensors), named("carried", tensors), told["facts"])
    _, facts = descend(own, place.model)
    values, carried = place.moving.copy(), _copied(own.carried)
    if not own.run.interrupted:
        tensors = {f"value.{name}": one for name, one in values.items()}
        tensors |= {f"carried.{name}": one for name, one in carried.items()}
        kept.save(tensors, {"facts": facts, "seconds": own.run.elapsed})
        if any(kept.folder.glob("*.safetensors")):
            shutil.rmtree(own.checkpoints, ignore_errors=True)
    return place.judged(values, carried, facts)


def _copied(tensors: Values) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in tensors.items()}
