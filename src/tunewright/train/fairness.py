"""What ``[fairness]`` asks of the training rows: weights, rows with swapped terms; and the cells that groups make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.plugins import reads
from tunewright.core.run import Run
from tunewright.core.task import Task
from tunewright.data.identity import Terms, terms_of
from tunewright.kinds._several import named_kind

if TYPE_CHECKING:
    from tunewright.train.examples import Part

DRO = "group_dro"
KINDS = ("classify",)
"""Those whose rows have one label, which weights and thresholds go by."""


def check(task: Task, kind: str) -> None:
    """Before any training: does the task name what its fairness goes by, and does it fit the kind?

    Raises
    ------
    TunewrightError
        It does not.
    """
    asked = [f"fairness.{name}" for name in ("reweigh", "thresholds") if getattr(task.fairness, name)]
    for name in (*asked, *([f"objectives.{DRO}"] if task.objectives.get(DRO) else [])):
        if not task.audit.groups:
            raise TunewrightError(f"{name}: the task names no groups", 'set audit.groups = ["COLUMN"]')
    for name in asked if kind not in KINDS else ():
        raise TunewrightError(f"{name} does not fit {named_kind(kind)}", f"leave it out; it fits {', '.join(KINDS)}")
    if task.objectives.get(DRO) and task.fit.workers > 1:
        raise TunewrightError(
            f"objectives.{DRO} weighs groups by the losses of a whole step, which {task.fit.workers} workers share",
            "set fit.workers to 1, or use fairness.reweigh",
        )
    if task.fairness.augment and "text" not in map(reads, task.inputs.values()):
        raise TunewrightError("fairness.augment swaps words, and no input is text", "leave it out")


def treated(task: Task, parts: Mapping[str, Part], language: str, run: Run) -> dict[str, Part]:
    """The parts as they are to be learnt from: rows with swapped terms among those for training, and weights.

    Raises
    ------
    TunewrightError
        There is no list of terms for the language.
    """
    out = dict(parts)
    if task.fairness.augment:
        out["train"] = _augmented(task, parts["train"], language, run)
    if task.fairness.reweigh:
        for name in ("train", "validation"):
            out[name] = replace(out[name], weights=weights_of(out[name]))
        told = np.asarray(out["train"].weights)
        said = f"fairness.reweigh: training rows weigh from {told.min():.2f} to {told.max():.2f}"
        run.log("reweigh", say=said)
    return out


def judged_by(task: Task, part: Part) -> NDArray[np.float64] | None:
    """How much each held-out row counts in a training's score; None = all alike.

    Where groups and labels are to be independent of each other they are so in the judgement too: rows that are biased
    as the training rows are would choose the most biased model.
    """
    asked = task.fairness.reweigh or (task.objectives.get(DRO) and len(part.groups) and _one_label(part.truth))
    return weights_of(part) if asked and len(part.truth) else None


def weights_of(part: Part) -> NDArray[np.float64]:
    """float64 (n,): n_g n_y / (n n_gy), which makes group g and label y independent of each other.

    Source: Kamiran and Calders 2012, Data preprocessing techniques for classification without discrimination.
    """
    table, group, label = counts(part.groups, part.truth)
    wanted = np.outer(table.sum(1), table.sum(0)) / table.sum()
    return np.asarray((wanted / np.maximum(table, 1))[group, label])


def counts(groups: Sequence[str], labels: Sequence[Any]) -> tuple[NDArray[np.int64], Any, Any]:
    """int64 (g, y): rows of each group and label; and the group and the label of each row."""
    group = np.unique(np.asarray(groups, object), return_inverse=True)[1]
    label = np.unique(np.asarray(labels, object), return_inverse=True)[1]
    table = np.zeros((int(group.max(initial=-1)) + 1, int(label.max(initial=-1)) + 1), np.int64)
    np.add.at(table, (group, label), 1)
    return table, group, label


def cells(part: Part) -> NDArray[np.int64]:
    """int64 (n,): the cell of each row, numbered from 0: its group with its label, where it has one; else its group."""
    labels = part.truth if _one_label(part.truth) else [""] * len(part.truth)
    table, group, label = counts(part.groups, labels)
    return np.unique(group * table.shape[1] + label, return_inverse=True)[1].astype(np.int64)


def _one_label(truth: Sequence[Any]) -> bool:
    return all(isinstance(one, str) for one in truth)


def _augmented(task: Task, part: Part, language: str, run: Run) -> Part:
    terms = terms_of(language, task.audit.terms)
    if not terms:
        problem = f"fairness.augment: there is no list of identity terms for the language of the rows ({language})"
        raise TunewrightError(problem, 'set audit.terms, for example audit.terms.gender = [["he", "she"]]')
    more = augmented(part, terms, task.seed)
    added, rows = len(more.truth) - len(part.truth), len(part.truth)
    run.log(
        "augment",
        say=f"fairness.augment: {added:,} of {rows:,} training rows hold identity terms, and are added"
        " with these swapped",
    )
    return more


def augmented(part: Part, terms: Mapping[str, Terms], seed: int) -> Part:
    """The rows, and behind them those that hold identity terms, with all of these swapped; label and group stay.

    Source: Lu et al. 2020, Gender Bias in Neural Natural Language Processing (counterfactual data augmentation).
    """
    shifts = np.random.default_rng(seed).integers(1, 1000, len(part.truth)).tolist()
    found: list[int] = []
    added: dict[str, list[Any]] = {column: [] for column in part.inputs}
    for row, shift in enumerate(shifts):
        cells = {column: _swapped(values[row], terms, shift) for column, values in part.inputs.items()}
        if any(cells[column] != values[row] for column, values in part.inputs.items()):
            found.append(row)
            for column, cell in cells.items():
                added[column].append(cell)
    return replace(
        part,
        inputs={column: [*values, *added[column]] for column, values in part.inputs.items()},
        truth=[*part.truth, *(part.truth[row] for row in found)],
        groups=[*part.groups, *(part.groups[row] for row in found)] if len(part.groups) else (),
    )


def _swapped(cell: Any, terms: Mapping[str, Terms], shift: int) -> Any:
    for one in terms.values() if isinstance(cell, str) else ():
        cell = one.swapped(cell, shift)[0]
    return cell
