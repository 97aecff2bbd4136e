"""The task, from a file, named arguments and dotted settings; and the task that a bundle was made by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.core import plugins
from tunewright.core.bundle import Manifest
from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.sections import Data
from tunewright.core.task import Sources, Task, read_task
from tunewright.runtime.review import has_scores

Source = Any
"""A path, a pandas or polars frame, or a mapping of lists."""


def describe(
    train: Source = None,
    *,
    text: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    test: Source = None,
    kind: str | None = None,
    task: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Task, Sources]:
    """The task that a file, named arguments and dotted settings state together."""
    flags: dict[str, Any] = {}
    for part, source in (("train", train), ("test", test)):
        if isinstance(source, str | Path):
            flags[f"data.{part}"] = str(source)
    if text is not None:
        flags["inputs"] = dict.fromkeys([text] if isinstance(text, str) else text, "text")
    if target is not None:
        if label is not None or kind is not None:
            raise TunewrightError(
                "--target stands beside --label or --kind", "name every target by --target COLUMN or COLUMN:KIND"
            )
        flags["targets"] = [_target(one) for one in ([target] if isinstance(target, str) else target)]
    if kind is not None:
        flags["targets.0.kind"] = kind
    if isinstance(label, str):
        flags["targets.0.column"] = label
    elif label is not None:
        flags["targets.0.columns"] = tuple(label)
    resolved, sources = read_task(Path(task) if task is not None else None, flags | dict(settings or {}))
    if not resolved.inputs:
        raise TunewrightError("no input column is named", "pass --text COLUMN, or write [inputs] in the task")
    if not resolved.targets or not (resolved.targets[0].column or resolved.targets[0].columns):
        raise TunewrightError("no label column is named", "pass --label COLUMN, or write [[targets]] in the task")
    for one in resolved.targets:
        if not (one.column or one.columns):
            raise TunewrightError(f"target {one.name!r} names no column", "write its column in the task")
    _check_review(resolved)
    methods = ("auto", *plugins.names("methods"))  # by name only: loading one takes torch, and this is asked at once
    if resolved.fit.method not in methods:
        raise TunewrightError(f"there is no method {resolved.fit.method!r}", nearest(resolved.fit.method, methods))
    return resolved, sources


def _check_review(task: Task) -> None:
    """A score under which a person looks is for kinds whose answers have one."""
    kinds = [plugins.load("kinds", one.kind) for one in task.targets]
    if task.review.below and not any(has_scores(kind.answer) for kind in kinds):
        problem = f"review.below = {task.review.below:g}: no target's answers have a score"
        raise TunewrightError(problem, "set it to 0, and name inputs in review.slices")


def _target(text: str) -> dict[str, str]:
    """``COLUMN`` or ``COLUMN:KIND`` of a ``--target`` flag."""
    column, colon, kind = text.rpartition(":")
    if not colon:
        return {"column": text}
    if not column or kind not in plugins.names("kinds"):
        problem = f"--target {text!r}: there is no kind {kind!r}" if column else f"--target {text!r} names no column"
        raise TunewrightError(problem, f"write COLUMN:KIND; {nearest(kind, plugins.names('kinds'))}")
    return {"column": column, "kind": kind}


def portable(task: Task) -> dict[str, Any]:
    """The task as JSON values, without what only holds on the machine it was fitted on: paths and the name."""
    record = task.model_dump(mode="json")
    record["data"] = record["data"] | {"train": "", "test": "", "validation": ""}
    record["audit"] = record["audit"] | {"strange": ""}
    record["fit"] = record["fit"] | {"watch": "", "threads": 0, "workers": 1}
    if Path(task.fit.backbone).is_dir():
        record["fit"]["backbone"] = Path(task.fit.backbone).name
    return record | {"name": ""}


def task_of(manifest: Manifest) -> Task:
    """The task that a bundle was made by, without the places of its files."""
    return Task.model_validate(manifest.task)


def plain_data(task: Task) -> Data:
    """How to read further files for this task: its columns and new names, but format and encoding found anew."""
    return Data(
        rename=task.data.rename, columns=task.data.columns, header=task.data.header, separator=task.data.separator
    )
