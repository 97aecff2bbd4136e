"""A bundle's model fitted anew on some of its training rows: what an attacker with shadow models does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunewright.audit import Columns
from tunewright.core.run import start
from tunewright.core.task import Task
from tunewright.core.types import Array, Kind
from tunewright.data.rows import Rows
from tunewright.pipeline.extras import training
from tunewright.pipeline.folds import groups_of
from tunewright.pipeline.parts import language_of, positions
from tunewright.pipeline.tasks import task_of
from tunewright.runtime.predictor import Predictor

Again = Callable[[Any, int], tuple[Kind, Callable[[Columns], Array]]]
"""Positions of training rows, seed → the kind, calibrated, and what a model that learnt from these rows answers."""


def again(predictor: Predictor, train: Rows, target: str) -> Again:
    """Fits by the method that the bundle was made by, with its settings, in as many minutes as it was allowed.

    train : all of them have a truth for the target
    target : the one that is learnt; of several, the others are left out
    """

    def fitted(rows: Any, seed: int) -> tuple[Kind, Callable[[Columns], Array]]:
        with training("the audit `shadow`"):
            from tunewright.train.answers import fresh
            from tunewright.train.examples import Part
            from tunewright.train.learn import prepare
        task, taken = _task(predictor, target, seed), train.take(rows)
        rest, part = positions(taken, task.split.validation, task)
        both = {"train": taken.take(rest), "validation": taken.take(part)}
        parts = {name: Part(one.inputs, one.targets[target], groups_of(one, task)) for name, one in both.items()}
        parts["held_out"] = parts["validation"]
        with tempfile.TemporaryDirectory() as folder, start(Path(folder) / "shadow", task.fit.minutes) as run:
            found = fresh(prepare(task, task.targets[0], parts, language_of(task, taken), run))
        return found.kind, found.ask

    return fitted


def _task(predictor: Predictor, target: str, seed: int) -> Task:
    """The bundle's task with one target, whose labels are those of the bundle, and the method that was kept."""
    task, kind = task_of(predictor.manifest), predictor.kinds[target]
    own = next(one for one in task.targets if one.name == target)
    fit = task.fit.model_copy(update={"method": predictor.manifest.method["name"], "workers": 1, "watch": ""})
    split = task.split.model_copy(update={"folds": 0, "by": "label", "column": ""})
    return task.model_copy(
        update={
            "targets": (own.model_copy(update={"labels": tuple(kind.labels)}),),
            "fit": fit,
            "split": split,
            "seed": seed,
            "gates": {},
        }
    )
