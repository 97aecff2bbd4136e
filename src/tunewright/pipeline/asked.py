"""What an audit is asked: the task that a model is judged by, the rows, and which of the gates are looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright import audit
from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task, read_task, settings, varied
from tunewright.core.types import Kind
from tunewright.data.check import check_labelled
from tunewright.data.dataset import read
from tunewright.data.issues import Issue, stop_if_needed
from tunewright.data.rows import Rows, rows_of
from tunewright.pipeline.models import Model
from tunewright.pipeline.tasks import Source, plain_data

JUDGING = ("seed", "data", "audit", "gates")
"""What a task file says of how to judge; the rest of it is about fits."""


@dataclass(frozen=True)
class Asked:
    """How a model is to be judged.

    task : its columns are those of the rows
    gates : names of those that were set for this audit; the others come from the model's own task
    groups : columns that were asked for by name
    """

    task: Task
    gates: frozenset[str]
    groups: tuple[str, ...]


def asked_of(
    model: Model,
    file: Path | None,
    said: Mapping[str, Any],
    *,
    groups: Sequence[str] = (),
    label: str | None = None,
) -> Asked:
    """The model's own task, then the file's sections on judging, then flags and settings; the later wins.

    said : dotted names, as of ``--set``
    """
    own = model.task
    if label is not None and len(own.targets) > 1:
        names = ", ".join(target.column or target.name for target in own.targets)
        raise TunewrightError(
            f"--label {label}: the model has several targets", f"leave it out; the rows' columns are {names}"
        )
    column = {} if label is None else {"column": label, "columns": ()}
    targets = [one.model_copy(update={"labels": model.kinds[one.name].labels} | column) for one in own.targets]
    base = own.model_copy(update={"targets": tuple(targets), "data": plain_data(own)})
    of_file = _of_file(file)
    base = varied(base, of_file, str(file)) if of_file else base
    flags = ({"audit.groups": tuple(groups)} if groups else {}) | dict(said)
    task = varied(base, flags, "the flags") if flags else base
    set_here = {name.removeprefix("gates.") for name in (*of_file, *said) if name.startswith("gates.")}
    return Asked(task, frozenset(set_here), tuple(groups))


def _of_file(file: Path | None) -> dict[str, Any]:
    """Dotted name → value of what a task file says about judging."""
    if file is None:
        return {}
    task, sources = read_task(file)
    parts = ("data.train", "data.test", "data.validation")
    return {
        name: value
        for name, value in settings(task).items()
        if sources[name] == "file" and name.partition(".")[0] in (*JUDGING, "compress") and name not in parts
    }


def columns_told(file: Path | None) -> tuple[list[str], str | None]:
    """Input columns, and the label column where there is one target, of a task file: for models that tell none."""
    if file is None:
        return [], None
    task, _ = read_task(file)
    return list(task.inputs), (task.targets[0].column or None) if len(task.targets) == 1 else None


def rows_asked(asked: Asked, source: Source, label: str | None = None) -> tuple[Rows, list[Issue]]:
    """All columns of the rows; targets that they have no column for are left out of ``Rows.targets``.

    label : a column that must be there

    Raises
    ------
    TunewrightError
        An input column, or one that was asked for by name, is missing; a row cannot be judged, as for ``evaluate``.
    """
    task, dataset = asked.task, read(source, asked.task.data)
    dataset.require((*task.inputs, *([label] if label is not None else []), *asked.groups))
    own = {*task.inputs, *(name for target in task.targets for name in (target.column, *target.columns))}
    for name in asked.groups:
        if name in own:
            raise TunewrightError(f"--group {name}: the model reads or predicts this column", "name another column")
    known = [one for one in task.targets if {*(one.columns or (one.column,))} <= set(dataset.frame.columns)]
    readable = task.model_copy(update={"targets": tuple(known)})
    rows = rows_of(dataset, readable)
    issues = check_labelled(rows, readable)
    stop_if_needed(issues)
    return rows, issues


def training_rows(asked: Asked, source: Source) -> Rows:
    """The rows that the model learnt from, with the columns of its targets."""
    own = [name for target in asked.task.targets for name in (target.columns or (target.column,))]
    dataset = read(source, asked.task.data)
    dataset.require((*asked.task.inputs, *own))
    rows = rows_of(dataset, asked.task)
    stop_if_needed(check_labelled(rows, asked.task))
    return rows


def gates_looked_at(asked: Asked, kinds: Mapping[str, Kind], only: Sequence[str] | None) -> tuple[dict[str, str], str]:
    """The gates whose audits run, and which of the model's own are left out, in words.

    Raises
    ------
    TunewrightError
        No audit measures what a gate names (with the nearest), or a gate that was set here is on an audit that is not
        to run.
    """
    audit.check_gates(asked.task.gates, kinds, asked.task.audit.groups)
    looked_at, left = dict(asked.task.gates), []
    for gate in asked.task.gates:
        givers = {name for kind in kinds.values() for name in audit.givers(gate, kind)}
        run = {name for kind in kinds.values() for name in audit.chosen_of(only, kind, costly=True)}
        if givers and not givers & run:
            if gate in asked.gates:
                name = min(givers)
                remedy = f"add {name} to --only" if only is not None else "take the gate out"
                raise TunewrightError(f"gates.{gate}: {name} measures this, and it does not run here", remedy)
            del looked_at[gate]
            left.append(gate)
    return looked_at, f"gates that are not looked at, since their audits do not run: {', '.join(left)}" if left else ""
