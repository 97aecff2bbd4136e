"""A model, judged on rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tunewright import audit
from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task
from tunewright.core.types import Finding, Kind
from tunewright.data.check import check_labelled
from tunewright.data.dataset import read
from tunewright.data.issues import stop_if_needed
from tunewright.data.rows import Rows, columns_of, empty_labels, rows_of
from tunewright.pipeline.again import again
from tunewright.pipeline.explainers import by_gradients, by_shifts
from tunewright.pipeline.folds import Crossed
from tunewright.pipeline.models import Bundle, Model
from tunewright.pipeline.parts import language_of
from tunewright.pipeline.tasks import Source, plain_data, task_of
from tunewright.runtime.predictor import Predictor, load


def judge(
    predictor: Predictor,
    task: Task,
    rows: Rows,
    *,
    logits: Mapping[str, Any] | None = None,
    leaked: Any = None,
    train: Rows | None = None,
    folds: Crossed | None = None,
) -> list[Finding]:
    """Audit a loaded bundle on labelled rows, and hold the findings against the task's gates.

    Each target is judged on the rows that have a truth for it; where there are several, its findings bear its name.

    logits : target → what the bundle's graphs gave for these rows, where that is known already
    folds : what cross-validation answered
    """
    logits = predictor.logits(rows.inputs) if logits is None else logits
    model = Bundle(predictor)
    findings: list[Finding] = []
    for target in predictor.kinds:
        context = context_of(model, task, rows, target, logits=logits[target], leaked=leaked, train=train)
        name = target if len(predictor.kinds) > 1 else ""
        asked = audit.asked_by(task.gates, context.kind)
        found = [*audit.audit(context), *(audit.audit(context, only=asked) if asked else ())]
        findings.extend(replace(one, target=name) for one in found)
    return audit.judge(findings if folds is None else folds.joined(findings, task), task.gates)


def context_of(
    model: Model,
    task: Task,
    rows: Rows,
    target: str,
    *,
    logits: Any,
    leaked: Any = None,
    train: Rows | None = None,
) -> audit.Context:
    """What audits may use to judge a model on the rows that have a truth for the target; on all, where none has.

    task : its columns are those of the rows; where these lack the target's, they are read without it
    logits : what the model gave for all rows
    """
    kind, labelled = model.kinds[target], target in rows.targets
    known = np.flatnonzero(~empty_labels(rows, target)) if labelled else np.arange(len(rows))
    if len(known) < len(rows):
        rows, logits = rows.take(known), logits[known]
        leaked = None if leaked is None else leaked[known]
    others = further_columns(rows, task)
    train = with_truth(train, target) if train is not None and target in train.targets else None
    return audit.Context(
        kind=kind,
        logits=logits,
        truth=kind.encode(rows.targets[target]) if labelled else None,
        inputs=rows.inputs,
        others=others,
        groups={name: others[name] for name in task.audit.groups if name in others},
        place=rows.dataset.place,
        seed=task.seed,
        leaked=leaked,
        train=_training(kind, train, target, task) if train is not None else None,
        predictor=model.predictor,
        ask=lambda columns: model.ask(columns, target),
        embed=model.embed,
        folder=model.folder,
        task=task,
        language=language_of(task, rows),
        scores=model.scores,
        strange=strange_rows(task),
        fit=again(model.predictor, train, target) if model.predictor is not None and train is not None else None,
        shift=partial(by_shifts, model.folder, target) if model.folder is not None else None,
        gradients=partial(by_gradients, model.folder) if model.folder is not None else None,
    )


def strange_rows(task: Task) -> dict[str, list[Any]] | None:
    """Column → the values of the rows that ``audit.strange`` names, which belong to no label."""
    if not task.audit.strange:
        return None
    found = read(task.audit.strange, plain_data(task), list(task.inputs))
    return {name: ["" if value is None else value for value in found.values(name)] for name in task.inputs}


def further_columns(rows: Rows, task: Task) -> dict[str, list[Any]]:
    """The columns that were read and are neither input nor target."""
    own = {*task.inputs, *(name for target in task.targets for name in (target.column, *target.columns))}
    return {name: rows.dataset.values(name) for name in rows.dataset.frame.columns if name not in own}


def with_truth(rows: Rows, target: str) -> Rows:
    """The rows that have a truth for a target."""
    known = np.flatnonzero(~empty_labels(rows, target))
    return rows if len(known) == len(rows) else rows.take(known)


def _training(kind: Kind, rows: Rows, target: str, task: Task) -> audit.Training:
    return audit.Training(rows.inputs, kind.encode(rows.targets[target]), further_columns(rows, task))


def evaluate(
    folder: str | Path, source: Source, *, label: str | None = None, options: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Findings of a bundle on labelled rows.

    label : their label column, where the bundle has one target; default: the columns that it was fitted on
    options : how to read them, as in ``[data]`` of a task; default: with the names and the layout of the training rows

    Raises
    ------
    TunewrightError
        A column is missing, a cell is empty, or a label is none that the bundle knows; the first such row is named.
    """
    predictor = load(folder)
    task, rows = labelled(predictor, source, label=label, options=options)
    return judge(predictor, task, rows)


def labelled(
    predictor: Predictor,
    source: Source,
    *,
    label: str | None = None,
    options: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> tuple[Task, Rows]:
    """Labelled rows for a bundle, and the task that they are read by, without its gates; see ``evaluate``.

    inputs : columns that are wanted beside its own, with their modalities
    """
    task = task_of(predictor.manifest)
    if label is not None and len(task.targets) > 1:
        names = ", ".join(target.column or target.name for target in task.targets)
        raise TunewrightError(
            f"--label {label}: the bundle has several targets", f"leave it out; the rows' columns are {names}"
        )
    other = {} if label is None else {"column": label, "columns": ()}
    targets = [one.model_copy(update={"labels": predictor.kinds[one.name].labels} | other) for one in task.targets]
    task = task.model_copy(
        update={
            "targets": tuple(targets),
            "data": plain_data(task).model_copy(update=dict(options or {})),
            "gates": {},
            "inputs": {**(inputs or {}), **task.inputs},
        }
    )
    columns = columns_of(task, split=False, groups=False)
    rows = rows_of(read(source, task.data, columns, optional=task.audit.groups), task)
    stop_if_needed(check_labelled(rows, task))
    return task, rows
