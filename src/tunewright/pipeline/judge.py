"""A loaded bundle, judged on labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright import audit
from tunewright.core.task import Task
from tunewright.core.types import Finding
from tunewright.data.check import check_labelled, stop_if_needed
from tunewright.data.dataset import read
from tunewright.data.rows import Rows, columns_of, rows_of
from tunewright.pipeline.tasks import Source, plain_data, task_of
from tunewright.runtime.predictor import Predictor, load


def judge(
    predictor: Predictor, task: Task, rows: Rows, *, logits: Any = None, leaked: Any = None, train: Rows | None = None
) -> list[Finding]:
    """Audit a loaded bundle on labelled rows, and hold the findings against the task's gates.

    logits : what the bundle's graphs gave for these rows, where that is known already
    """
    target = predictor.manifest.targets[0]["name"]
    kind = predictor.kinds[target]
    context = audit.Context(
        kind=kind,
        logits=predictor.logits(rows.inputs)[target] if logits is None else logits,
        truth=kind.encode(rows.targets[target]),
        inputs=rows.inputs,
        place=rows.dataset.place,
        seed=task.seed,
        leaked=leaked,
        train_truth=kind.encode(train.targets[target]) if train is not None else None,
        predictor=predictor,
    )
    return audit.judge(audit.audit(context), task.gates)


def evaluate(
    folder: str | Path, source: Source, *, label: str | None = None, options: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Findings of a bundle on labelled rows.

    label : their label column; default: the one that the bundle was fitted on
    options : how to read them, as in ``[data]`` of a task; default: with the names and the layout of the training rows

    Raises
    ------
    TunewrightError
        A column is missing, a cell is empty, or a label is none that the bundle knows; the first such row is named.
    """
    predictor = load(folder)
    task = task_of(predictor.manifest)
    known = {"labels": predictor.kind.labels} | ({} if label is None else {"column": label, "columns": ()})
    task = task.model_copy(
        update={
            "targets": (task.targets[0].model_copy(update=known),),
            "data": plain_data(task).model_copy(update=dict(options or {})),
            "gates": {},
        }
    )
    rows = rows_of(read(source, task.data, columns_of(task, split=False)), task)
    stop_if_needed(check_labelled(rows, task))
    return judge(predictor, task, rows)
