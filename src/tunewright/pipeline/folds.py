"""Cross-validation: a fit for each fold, their answers judged together, and written beside the bundle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright import audit
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.sections import Target
from tunewright.core.share import within
from tunewright.core.task import Task
from tunewright.core.types import Finding
from tunewright.data.folds import Fold, folds
from tunewright.data.rows import JOINT, Rows
from tunewright.pipeline.extras import training
from tunewright.pipeline.parts import Parts, language_of, positions

if TYPE_CHECKING:
    from tunewright.train.context import Context
    from tunewright.train.out_of_fold import Answers
    from tunewright.train.pool import Pool

CROSS = "cross-validation"
OWN = "validation part"
"""What the findings on the validation part become a slice of, where those of the folds are the figures of the model."""


@dataclass(frozen=True)
class Crossed:
    """What the folds answered.

    rows : those that the folds are of; judged : of each fold that was answered, the positions of its rows
    asked : how many folds there were to be; instead : there is no test part
    """

    rows: Rows
    target: str
    judged: list[Any]
    answers: list[Answers]
    asked: int
    instead: bool

    def findings(self, task: Task) -> list[Finding]:
        """Those of the audit ``folds``."""
        kind = plugins.load("kinds", task.targets[0].kind).learn(self._truth(range(len(self.rows))), _options(task))
        known = list(zip(self.judged, self.answers, strict=True))
        told = audit.Folds(
            decided=np.concatenate([one.kind.decide(one.logits) for one in self.answers]) if known else np.zeros(0),
            truth=np.concatenate([kind.encode(self._truth(rows)) for rows, _ in known]) if known else np.zeros(0),
            fold=np.repeat(np.arange(1, len(known) + 1), [len(rows) for rows, _ in known]),
            learnt=tuple(one.learnt for one in self.answers),
            methods=tuple(one.method for one in self.answers),
            asked=self.asked,
            instead=self.instead,
        )
        return audit.audit(audit.Context(kind, seed=task.seed, folds=told), only=["folds"])

    def joined(self, findings: Sequence[Finding], task: Task) -> list[Finding]:
        """The findings of the folds with those of the bundle on its test part, or on its validation part.

        Without a test part those of the folds stand first, and what was measured of the same on the validation part
        becomes a slice.
        """
        own = self.findings(task)
        if not self.instead:
            return [*findings, *own]
        names = {one.metric for one in own}
        whole = [replace(one, slice=OWN) if one.metric in names and not one.slice else one for one in findings]
        return [*own, *whole]

    def said(self, findings: Sequence[Finding], headline: Sequence[str]) -> str:
        """The metrics that stand first, in a line."""
        own = [one for one in findings if one.audit == "folds" and one.metric in headline]
        if any(one.value is None for one in own):
            return f"{CROSS}: {own[0].note}"
        return f"{CROSS} with {self.asked} folds: " + ", ".join(
            f"{one.metric} {one.value:.4f} (95 % interval {one.low:.4f} – {one.high:.4f})" for one in own
        )

    def told(self, findings: Sequence[Finding]) -> dict[str, Any]:
        """JSON values for ``show``."""
        own = [one for one in findings if one.audit == "folds"]
        table = next((exhibit for one in own for exhibit in one.exhibits), None)
        numbers = ("value", "low", "high", "n")
        return {
            "folds": self.asked,
            "rows": sum(map(len, self.judged)),
            "metrics": {one.metric: {name: getattr(one, name) for name in numbers} for one in own},
            "each": [dict(zip(table.columns, row, strict=True)) for row in table.rows] if table else [],
        }

    def write(self, path: Path) -> None:
        """One line for each row that was answered, in the order of the source; without any text of the inputs."""
        lines = sorted(self._lines(), key=lambda one: one[0])
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for _, line in lines)
        path.write_text(content, encoding="utf-8", errors="replace")

    def _lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, (rows, one) in enumerate(zip(self.judged, self.answers, strict=True), 1):
            columns = one.kind.columns(one.kind.decode(one.logits))
            proba = one.kind.proba(one.logits) if one.kind.labels else None
            for at, row in enumerate(rows.tolist()):
                line = {"row": self.rows.dataset.places[row], "fold": number}
                line |= {"truth": self.rows.targets[self.target][row]}
                line |= {name: values[at] for name, values in columns.items()}
                if proba is not None:
                    shown = (round(value, 6) for value in proba[at].tolist())
                    line["probabilities"] = dict(zip(one.kind.labels, shown, strict=True))
                yield row, line

    def _truth(self, rows: Any) -> list[Any]:
        return [self.rows.targets[self.target][row] for row in rows]


def check_folds(task: Task) -> None:
    """Before anything is read: does the task allow cross-validation, and ask for it where a gate needs it?

    Raises
    ------
    TunewrightError
        It does not.
    """
    if task.split.folds and len(task.targets) > 1:
        raise TunewrightError(
            f"split.folds = {task.split.folds}: cross-validation is for one target, and the task has "
            f"{len(task.targets)}",
            "leave one target in the task, or set split.folds to 0",
        )
    for gate in task.gates if not task.split.folds else ():
        if gate.startswith(("folds.", "fold_")) or f".{CROSS}" in gate:
            raise TunewrightError(f"gates.{gate} needs cross-validation", "pass --folds 5, or take the gate out")


def crossed(task: Task, parts: Parts, run: Run) -> Crossed | None:
    """Fit every fold on its rest, each in an equal share of the minutes; None where the task asks for no folds.

    Answers of folds that an earlier process finished are taken up.

    Raises
    ------
    TunewrightError
        The rows do not allow so many folds.
    """
    count = task.split.folds
    if not count:
        return None
    with training("`fit`"):
        from tunewright.train.out_of_fold import answered
    target, rows = task.targets[0], parts.pool
    every = folds(rows, count, task.split, task.seed, task.targets)
    contexts = _contexts(task, rows, run)
    found: list[Answers] = []
    for number, fold in enumerate(every, 1):
        said = f"fold {number} of {count}: learning from {len(fold.learn):,} rows, judged on {len(fold.judge):,}"
        run.log("fold", fold=number, folds=count, say=said)
        make = lambda number=number, fold=fold: contexts(number, fold)  # noqa: E731
        with within(run, min(run.seconds / (count + 1), run.left / (count + 2 - number))):
            one = answered(run.work / "folds" / str(number), run, target.kind, make)
        if one is None:
            break
        found.append(one)
    judged = [fold.judge for fold in every[: len(found)]]
    return Crossed(rows, target.name, judged, found, count, parts.judged_on != "test")


def groups_of(rows: Rows, task: Task) -> list[str]:
    """The group of each row: its values of all columns that the task names; none where it names none."""
    columns = [rows.dataset.values(name) for name in task.audit.groups]
    return [JOINT.join("" if one is None else str(one) for one in row) for row in zip(*columns, strict=True)]


def adds_rows(task: Task) -> bool:
    """Whether the training part gets rows that were not read; they stand in no pool."""
    return task.fairness.augment or bool(task.fit.typos)


def pool_of(task: Task, parts: Parts) -> Pool | None:
    """Where the training and the validation part stand among the rows of the folds, if both were cut from them."""
    if not task.split.folds or len(parts.pool) == len(parts.train) or adds_rows(task):
        return None
    rest, part = positions(parts.pool, task.split.validation, task)
    return _pool(parts.pool, task.targets[0].name, rest, part)


def _contexts(task: Task, rows: Rows, run: Run) -> Callable[[int, Fold], Context]:
    """What makes the context of a fold's fit; the backbone is loaded once, and frozen activations are shared."""
    from tunewright.train.examples import Part
    from tunewright.train.learn import choose_backbone, prepare

    target, language = _with_all_labels(task, rows), language_of(task, rows)
    chosen = cache(lambda: choose_backbone(task, language))

    def make(number: int, fold: Fold) -> Context:
        rest, part = positions(rows.take(fold.learn), task.split.validation, task)
        own = {"train": fold.learn[rest], "validation": fold.learn[part], "held_out": fold.judge}
        taken = {name: rows.take(index) for name, index in own.items()}
        encoded = {
            name: Part(one.inputs, one.targets[target.name], groups_of(one, task)) for name, one in taken.items()
        }
        context = prepare(task, target, encoded, language, run)
        context.chosen, context.branch = chosen, f"fold{number}-"
        if not adds_rows(task):
            context.pool = _pool(rows, target.name, own["train"], own["validation"])
        return context

    return make


def _pool(rows: Rows, target: str, train: Any, validation: Any) -> Pool:
    from tunewright.train.examples import Part
    from tunewright.train.pool import Pool

    return Pool(Part(rows.inputs, rows.targets[target]), {"train": train, "validation": validation})


def _with_all_labels(task: Task, rows: Rows) -> Target:
    """The target with the labels of all rows, so that the fits of all folds have the same, in the same order."""
    target = task.targets[0]
    kind = plugins.load("kinds", target.kind).learn(rows.targets[target.name], _options(task))
    return target.model_copy(update={"labels": tuple(kind.labels)}) if kind.labels else target


def _options(task: Task) -> Mapping[str, Any]:
    return task.targets[0].model_dump()
