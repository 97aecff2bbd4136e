"""What lets a bundle say "I don't know": calibration, sets of labels at a promised rate, and when strange rows go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Target
from tunewright.core.task import Task
from tunewright.core.types import Array, Kind
from tunewright.kinds._promise import Promise, Scores, rank_of
from tunewright.kinds._promised_labels import LabelPromise
from tunewright.kinds._several import Several, Single
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.train.context import Context
from tunewright.train.examples import Part
from tunewright.train.fitted import Fitted
from tunewright.train.thresholds import even

ABLE = {"error": ("classify", "multilabel"), "out_of_scope": ("classify",)}
"""Settings of ``[unsure]`` that are rates, and the kinds that can keep them."""


def check(task: Task, targets: Sequence[Target], validation: Part) -> None:
    """Whether what ``[unsure]`` asks for can be given.

    Raises
    ------
    TunewrightError
        No target can be left without a label, or there are too few validation rows for the rate.
    """
    rates = {name: getattr(task.unsure, name) for name in ABLE}
    for name, rate in ((name, rate) for name, rate in rates.items() if rate):
        if not any(one.kind in ABLE[name] for one in targets):
            kinds, able = ", ".join(sorted({one.kind for one in targets})), " or ".join(ABLE[name])
            raise TunewrightError(f"unsure.{name} needs a target of kind {able}, not {kinds}", "leave it out")
        rows, which = _rows(targets, validation)
        if rank_of(rate, rows) > rows:
            raise TunewrightError(
                f"unsure.{name} = {rate:g} needs {fewest(rate)} validation rows{which}; there are {rows}",
                "set split.validation higher, or the rate",
            )


def _rows(targets: Sequence[Target], validation: Part) -> tuple[int, str]:
    """Validation rows that a rate can rest on, and which these are: of several labels, those that have one."""
    if [one.kind for one in targets] == ["multilabel"]:
        return sum(len(labels) > 0 for labels in validation.truth), " with a label"
    return len(validation.truth), ""


def fewest(error: float) -> int:
    """Rows from which on a rate of errors can be promised.

    >>> fewest(0.05)
    19
    """
    return math.ceil(round(1 / error, 9)) - 1


def calibrated(context: Context, fitted: Fitted) -> tuple[Single, ...]:
    """Each target with a kind that is calibrated, and that keeps what a promised rate of errors rests on.

    Both are fitted on the validation logits, as they were before a fit on all rows.
    """
    truth = context.kind.encode(context.parts["validation"].truth)
    kind = even(context, context.kind.calibrate(fitted.validation_logits, truth), fitted.validation_logits, truth)
    singles = replace(context, kind=kind).singles
    return tuple(_promised(context, one, *own(context, one.name, fitted.validation_logits, truth)) for one in singles)


def own(context: Context, name: str, logits: Array, truth: Array) -> tuple[Array, Array]:
    """Logits and truth of one target, of the rows that have a truth for it."""
    rows, mine = known(context.kind, name, truth)
    return context.by_target(logits)[name][rows], mine


def known(kind: Kind, name: str, truth: Array) -> tuple[NDArray[np.bool_], Array]:
    """bool (n,): the rows that have a truth for a target; and their truth, in the coding of its own kind."""
    if not isinstance(kind, Several):
        return np.ones(len(truth), bool), truth
    slot = next(one for one in kind.slots if one.single.name == name)
    return slot.known(truth), slot.own(truth[slot.known(truth)])


def _promised(context: Context, single: Single, logits: Array, truth: Array) -> Single:
    kind, asked = single.kind, context.task.unsure
    if not isinstance(kind, Classify | Multilabel) or not len(truth):
        return single
    kind = kind.promised(logits, truth, asked.error, per_class=asked.per_class)
    said = _too_few(kind.promise, asked.error) if asked.error else []
    for one in said:
        context.run.log("unsure", say=f"{single.name}: {one}; set split.validation higher")
    return replace(single, kind=kind)


def _too_few(promise: Promise | LabelPromise | None, error: float) -> list[str]:
    """What a rate cannot say of labels, because too few rows were held out."""
    rows = f"fewer than {fewest(error)} validation rows"
    if isinstance(promise, Promise):
        small = _unlimited(promise.groups, error)
        return [f"{small} classes have {rows}, so their labels stand in every set"] if small else []
    if promise is None:
        return []
    small, alike = _unlimited(promise.left_out, error), len(promise.left_out) > 1
    which = f"{small} labels have {rows}, so they are" if alike else f"{rows} have a label, so no label is"
    left = [f"{which} never left out"] if small and alike else [f"{which} left out"] if small else []
    return left + ([f"there are {rows}, so no label is said"] if promise.wrong.limit(error) == math.inf else [])


def _unlimited(groups: Sequence[Scores], error: float) -> int:
    return sum(one.limit(error) == math.inf for one in groups)
