"""The task's objectives: whether they fit, and the step that they make of the plain one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from torch import Tensor, nn

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task
from tunewright.kinds._several import SEVERAL, named_kind
from tunewright.objectives._parts import named
from tunewright.train.step import Piece, Step, plain

if TYPE_CHECKING:
    from tunewright.train.context import Context

SAMPLED = ("classify", "multilabel")
"""Kinds whose rows have classes that can be oversampled."""


def check(task: Task, kind: str) -> None:
    """Before any training: does every objective exist, and fit its strength, the kind and the others?

    An objective says so with ``RANGE`` (smallest and largest strength), ``KINDS`` (names, or None for all) and, where
    there is something to say, ``NOT_WITH`` and ``BEFORE`` (names of other objectives).

    Raises
    ------
    TunewrightError
        One of these does not hold.
    """
    if task.fit.oversample and kind == SEVERAL:
        raise TunewrightError(f"fit.oversample = {task.fit.oversample:g} does not fit several targets", "leave it out")
    if task.fit.oversample and kind not in SAMPLED:
        raise TunewrightError(
            f"fit.oversample = {task.fit.oversample:g} does not fit kind {kind!r}, which has no classes", "leave it out"
        )
    on: list[str] = []
    for name, strength in task.objectives.items():
        one = plugins.load("objectives", name)
        low, high = one.RANGE
        if not low <= strength <= high:
            raise TunewrightError(
                f"objectives.{name} = {strength:g} is out of its range",
                f"give a number from {low:g} to {high:g}; 0 turns it off",
            )
        if not strength:
            continue
        if one.KINDS is not None and kind not in one.KINDS:
            raise TunewrightError(
                f"objectives.{name} does not fit {named_kind(kind)}", f"leave it out; it fits {', '.join(one.KINDS)}"
            )
        for other in on:
            if other in getattr(one, "NOT_WITH", ()) or name in getattr(
                plugins.load("objectives", other), "NOT_WITH", ()
            ):
                raise TunewrightError(f"objectives.{other} and objectives.{name} exclude each other", "choose one")
            if other in getattr(one, "BEFORE", ()):
                raise TunewrightError(
                    f"objectives.{name} stands after objectives.{other}", f"write {name} before {other}"
                )
        on.append(name)


def modules(task: Task) -> dict[str, str]:
    """Modules that a model must have for the task's objectives, each with the objective that needs it (``NEEDS``)."""
    on = [name for name, strength in task.objectives.items() if strength]
    return {module: name for name in on for module in getattr(plugins.load("objectives", name), "NEEDS", ())}


def paired(task: Task) -> bool:
    """Whether an objective of the task learns from which rows are computed together (``PAIRS``)."""
    on = [name for name, strength in task.objectives.items() if strength]
    return any(getattr(plugins.load("objectives", name), "PAIRS", False) for name in on)


class Stateful(Protocol):
    """A step that changes after each step of the optimiser; ``carried`` are the tensors that a checkpoint must hold."""

    carried: Mapping[str, Tensor]

    def __call__(self, model: nn.Module, piece: Piece) -> Tensor: ...

    def after_step(self, made: int, planned: int) -> None: ...


def wrapped(context: Context, model: nn.Module) -> tuple[Step, list[Stateful]]:
    """The step of a course, and those objectives in it that have a state.

    The first objective of the task lies outermost, so it is the first to see the rows.

    Raises
    ------
    TunewrightError
        The model lacks a module that an objective needs.
    """
    for module, objective in modules(context.task).items():
        if not named(model, module):
            raise TunewrightError(
                f"objectives.{objective} needs a module {module!r}, which the model to be trained does not have "
                f"(method {context.task.fit.method!r}, backbone {context.task.fit.backbone!r})",
                f"leave objectives.{objective} out, or use --method full",
            )
    step: Step = plain
    states: list[Stateful] = []
    for name, strength in reversed(context.task.objectives.items()):
        if strength:
            step = plugins.load("objectives", name).wrap(step, strength, context)
            states += [cast(Stateful, step)] if hasattr(step, "carried") else []
    return step, states
