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
from tunewright.kinds._promise import rank_of
from tunewright.kinds._several import Several, Single
from tunewright.kinds.classify import Classify
from tunewright.train.context import Context, Fitted
from tunewright.train.examples import Part
from tunewright.train.thresholds import even


def check(task: Task, targets: Sequence[Target], validation: Part) -> None:
    """Whether what ``[unsure]`` asks for can be given.

    Raises
    ------
    TunewrightError
        No target can be left without a label, or there are too few validation rows for the rate.
    """
    rates = {name: getattr(task.unsure, name) for name in ("error", "out_of_scope")}
    for name, rate in ((name, rate) for name, rate in rates.items() if rate):
        if not any(one.kind == "classify" for one in targets):
            kinds = ", ".join(sorted({one.kind for one in targets}))
            raise TunewrightError(f"unsure.{name} needs a target of kind classify, not {kinds}", "leave it out")
        if rank_of(rate, len(validation.truth)) > len(validation.truth):
            raise TunewrightError(
                f"unsure.{name} = {rate:g} needs {fewest(rate)} validation rows; there are {len(validation.truth)}",
                "set split.validation higher, or the rate",
            )


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
    if not isinstance(kind, Classify) or not len(truth):
        return single
    kind = kind.promised(logits, truth, asked.error, per_class=asked.per_class)
    if asked.error and kind.promise is not None:
        small = [one for one in kind.promise.groups if one.limit(asked.error) == math.inf]
        if small:
            said = f"{single.name}: {len(small)} classes have fewer than {fewest(asked.error)} validation rows"
            said = f"{said}, so their labels stand in every set; set split.validation higher"
            context.run.log("unsure", say=said)
    return replace(single, kind=kind)
