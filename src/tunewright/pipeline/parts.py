"""Rows, read, checked and split into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.core.task import Task
from tunewright.core.types import Modality
from tunewright.data import check as checks
from tunewright.data.dataset import read
from tunewright.data.issues import Issue, stop_if_needed
from tunewright.data.language import dominant
from tunewright.data.rows import Rows, columns_of, rows_of
from tunewright.data.split import split
from tunewright.data.units import Indices
from tunewright.modalities.text import Text
from tunewright.pipeline.extras import training
from tunewright.pipeline.tasks import Source, describe


@dataclass(frozen=True)
class Parts:
    """Rows ready to be learnt from and judged on.

    pool : the training rows before a validation part was cut off them
    leaked : bool, test rows whose input occurs in the training rows
    judged_on : ``test``, or ``validation`` where the task has no test part
    """

    train: Rows
    validation: Rows
    test: Rows
    issues: list[Issue]
    leaked: Any
    judged_on: str
    digest: str
    pool: Rows


def read_parts(task: Task, train: Source = None, test: Source = None) -> Parts:
    """Read, check and split the task's rows.

    Raises
    ------
    TunewrightError
        The rows cannot be read, or ``check`` found what stops a fit.
    """
    given = {
        part: _rows(task, part, source) for part, source in (("train", train), ("test", test), ("validation", None))
    }
    rows = given["train"]
    if rows is None:
        raise TunewrightError("no training rows are named", "name a file, or set data.train in the task")
    issues = checks.check(rows, given["test"], given["validation"], task)
    stop_if_needed(issues)
    digest = rows.dataset.digest
    test_rows, validation = given["test"], given["validation"]
    if test_rows is None and task.split.test:
        rows, test_rows = _cut(rows, task.split.test, task)
    pool = rows
    if validation is None:
        rows, validation = _cut(rows, task.split.validation, task)
    leaked = checks.leaked_rows(rows, test_rows) if test_rows is not None else None
    judged_on = "test" if test_rows is not None else "validation"
    judged = validation if test_rows is None else test_rows
    return Parts(rows, validation, judged, issues, leaked, judged_on, digest, pool)


def check(train: Source = None, **named: Any) -> list[Issue]:
    """What stops a fit on these rows, and what only should be known. Arguments as for ``fit``."""
    task, _ = describe(train, **named)
    rows = {part: _rows(task, part, source) for part, source in (("train", train), ("test", named.get("test")))}
    if rows["train"] is None:
        raise TunewrightError("no training rows are named", "name a file, or set data.train in the task")
    rows["validation"] = _rows(task, "validation", None)
    issues = checks.check(rows["train"], rows["test"], rows["validation"], task)
    if any(issue.level == "stop" for issue in issues):
        return issues
    try:
        with training("`check`"):
            from tunewright.train.learn import choose_backbone
        backbone, _ = choose_backbone(task, language_of(task, rows["train"]))
    except MissingExtra:
        return issues  # lengths are measured in the backbone's tokens, and nothing here can read it
    return issues + long_rows([one for one in rows.values() if one is not None], task, backbone.modality)


def language_of(task: Task, rows: Rows) -> str:
    """The language that most texts of the input columns are in."""
    return dominant([text for column in task.inputs for text in rows.inputs[column] if isinstance(text, str)])


def long_rows(parts: Sequence[Rows], task: Task, modality: Modality) -> list[Issue]:
    """Rows that are longer than the modality's window, where it has one."""
    if not isinstance(modality, Text):
        return []
    found = [checks.long_rows(rows, task, modality.count_tokens, modality.max_tokens) for rows in parts]
    return [issue for issues in found for issue in issues]


def _rows(task: Task, part: str, source: Source) -> Rows | None:
    if source is None or isinstance(source, str | Path):
        source = getattr(task.data, part) or None
    if source is None:
        return None
    return rows_of(read(source, task.data, columns_of(task, split=part == "train")), task)


def _cut(rows: Rows, share: float, task: Task) -> tuple[Rows, Rows]:
    rest, part = positions(rows, share, task)
    return rows.take(rest), rows.take(part)


def positions(rows: Rows, share: float, task: Task) -> tuple[Indices, Indices]:
    """Where the rows of the rest and of the part stand.

    Raises
    ------
    TunewrightError
        No row can be held out.
    """
    rest, part = split(rows, share, task.split, task.seed, task.targets)
    if not len(part):
        raise TunewrightError(
            f"{rows.dataset.source}: none of its {len(rows)} rows can be held out (equal inputs stay together)",
            "add rows with other inputs, or name files for test and validation",
        )
    return rest, part
