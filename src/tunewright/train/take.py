"""How a method takes its course: once, or several times for a soup or an ensemble."""

from __future__ import annotations

from typing import Any

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit
from tunewright.core.space import WITHOUT_STEPS
from tunewright.core.task import Task
from tunewright.kinds._several import named_kind
from tunewright.train import ensemble
from tunewright.train.context import Context
from tunewright.train.course import Best, Course, Model
from tunewright.train.fitted import Fitted
from tunewright.train.loop import descend
from tunewright.train.soup import soup

WITHOUT = (*WITHOUT_STEPS, "contrastive")
"""Methods whose head is solved for, so that their weights are not those of a course."""
HARD = ("margin", "supcon")
"""Objectives that need one label of each row, and so cannot learn shares of them."""


def take(context: Context, course: Course, model: Model) -> tuple[Best, dict[str, Any]]:
    """As ``descend``, once, or as often as ``fit.soup`` or ``fit.ensemble`` ask for; one model comes out."""
    if course.fit.soup:
        return soup(course, model)
    if course.fit.ensemble:
        return ensemble.ensemble(context, course, model)
    return descend(course, model)


def asked(fit: Fit) -> str:
    """The setting that asks for several trainings, as it would be written; empty where none does."""
    return next((f"fit.{name} = {count}" for name in ("soup", "ensemble") if (count := getattr(fit, name))), "")


def trainings(fit: Fit) -> int:
    """How many trainings share the time of one."""
    return fit.soup or (fit.ensemble + 1 if fit.ensemble else 1)


def check(task: Task, kind: str) -> None:
    """Before any training: does what is asked for fit the method, the kind and the objectives?

    Raises
    ------
    TunewrightError
        It does not.
    """
    fit, setting = task.fit, asked(task.fit)
    if setting and fit.method in WITHOUT:
        raise TunewrightError(
            f"{setting} joins trainings by gradient, and method {fit.method!r} solves for its head",
            "use --method full, or leave it out",
        )
    if fit.ensemble and kind not in ensemble.KINDS:
        known = ", ".join(ensemble.KINDS)
        raise TunewrightError(f"{setting} does not fit {named_kind(kind)}", f"leave it out; it fits {known}")
    for name in HARD:
        if fit.ensemble and task.objectives.get(name):
            raise TunewrightError(
                f"{setting} teaches shares of labels, which objectives.{name} cannot compare", "leave one of them out"
            )


def check_private(task: Task, kind: str) -> None:
    """Before any training with differential privacy: does nothing else learn from the rows, or unsettle the count?

    Raises
    ------
    TunewrightError
        Something does.
    """
    fit = task.fit
    if task.privacy.epsilon and fit.method not in ("auto", "private"):
        raise TunewrightError(
            f"privacy.epsilon = {task.privacy.epsilon:g} is not kept by method {fit.method!r}", "use --method private"
        )
    if not task.privacy.epsilon and fit.method != "private":
        return
    also = [f"objectives.{name}" for name, strength in task.objectives.items() if strength]
    also += [name for name in (asked(fit),) if name]
    also += [f"fit.oversample = {fit.oversample:g}"] if fit.oversample else []
    also += [f"fit.workers = {fit.workers}"] if fit.workers > 1 else []
    if also:
        raise TunewrightError(f"{also[0]} does not go with differential privacy", "leave it out")
    if kind not in ("classify", "multilabel"):
        raise TunewrightError(f"method 'private' does not fit {named_kind(kind)}", "leave privacy.epsilon out")


def say_if_alone(context: Context, fitted: Fitted) -> None:
    """Tell where a method made no use of what the task asks for."""
    setting = asked(context.task.fit)
    if setting and not {"soup_score", "ensemble_score"} & set(fitted.facts):
        said = f"{fitted.method}: {setting} does not apply, since its weights are not those of a training by gradient"
        context.run.log("members", method=fitted.method, say=said)
