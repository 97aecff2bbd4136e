"""One trial of ``tune``: the line up to the validation part, and what the objectives measure there."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.run import Run
from tunewright.core.task import Task
from tunewright.data.rows import Rows
from tunewright.pipeline.extras import training
from tunewright.pipeline.parts import Parts
from tunewright.pipeline.release import context_of
from tunewright.pipeline.tasks import portable
from tunewright.runtime.predictor import Predictor, load

CALLS = 200
"""Predictions of one row whose median is the latency."""
ROWS = 50
"""Validation rows that they go round."""


@dataclass(frozen=True)
class Objective:
    """Something that a search makes as large or as small as it can.

    name : in ``--objective``; measure : the key of its value in records, with its unit
    """

    name: str
    measure: str
    highest: bool
    shown: Callable[[float], str]


OBJECTIVES = {
    one.name: one
    for one in (
        Objective("accuracy", "score", True, lambda value: f"{value:.4f}"),
        Objective("latency", "latency_ms", False, lambda value: f"{value:.2f} ms"),
        Objective("size", "size_bytes", False, lambda value: f"{value / 1e6:.2f} MB"),
    )
}
"""``accuracy`` is the score of the kind on the validation part, by which methods are judged everywhere."""


def read_objectives(names: str | Sequence[str]) -> list[Objective]:
    """Objectives by name, of a list or a text with commas.

    >>> [one.name for one in read_objectives("accuracy, size")]
    ['accuracy', 'size']
    """
    wanted = [one.strip() for one in names.split(",")] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in OBJECTIVES:
            raise TunewrightError(f"there is no objective {name!r}", nearest(name, OBJECTIVES))
    if not wanted:
        raise TunewrightError("no objective is named", f"use one or several of: {', '.join(OBJECTIVES)}")
    return [OBJECTIVES[name] for name in dict.fromkeys(wanted)]


def measured(task: Task, parts: Parts, run: Run, objectives: Sequence[Objective]) -> list[float]:
    """Fit the task's method and measure it on the validation part; nothing here looks at the test part.

    run : its own, in a folder of its own; what its listener raises ends the trial
    """
    with training("`tune`"):
        from tunewright.train.search import fitted_alone

    context = context_of(task, parts, run, lambda backbone, found: None, parts.validation)
    fitted = fitted_alone(context)
    truth = context.kind.encode(context.parts["validation"].truth)
    found = {"score": round(float(np.mean(context.kind.row_score(fitted.validation_logits, truth))), 6)}
    if any(one.name != "accuracy" for one in objectives):
        found |= _exported(context, fitted, task, parts.validation, run)
    return [found[one.measure] for one in objectives]


def _exported(context: Any, fitted: Any, task: Task, rows: Rows, run: Run) -> dict[str, float]:
    """What only the bundle can tell: its size, and how long it takes for one row."""
    from tunewright.train.assemble import assemble

    staged = run.folder / "staged"
    shutil.rmtree(staged, ignore_errors=True)  # of a process that was killed
    manifest, _ = assemble(staged, context, fitted, name="trial", task=portable(task), data={}, run={})
    latency = latency_ms(load(staged, task.fit.threads), rows)
    shutil.rmtree(staged)
    return {"size_bytes": float(manifest.size_bytes), "latency_ms": latency}


def latency_ms(predictor: Predictor, rows: Rows, calls: int = CALLS) -> float:
    """Median time of predictions of one row, in milliseconds."""
    single = [{name: [values[at]] for name, values in rows.inputs.items()} for at in range(min(ROWS, len(rows)))]
    predictor.predict(single[0])
    took = []
    for one in islice(cycle(single), calls):
        begun = time.perf_counter()
        predictor.predict(one)
        took.append(time.perf_counter() - begun)
    return round(1000 * statistics.median(took), 3)
