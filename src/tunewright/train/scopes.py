"""The detector of strange rows of a bundle: fitted on what its own graphs say of training and validation rows."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.core.types import Array
from tunewright.kinds._promise import rank_of, rounded_up
from tunewright.kinds._several import Single
from tunewright.kinds.classify import Classify
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.scope import BY_LOGITS, DETECTORS, strangeness
from tunewright.train.context import Context
from tunewright.train.detector import Seen, best_detector, kept
from tunewright.train.examples import Part
from tunewright.train.fitted import Fitted
from tunewright.train.unsure import known, own

MOST_ROWS = 5_000
"""Training rows that a detector is fitted on, drawn by the seed: the graphs run once over each."""


def scoped(
    folder: Path, context: Context, fitted: Fitted, singles: tuple[Single, ...], predictor: Predictor
) -> tuple[Single, ...]:
    """The targets; where strange rows are to be turned away, each kind knows its detector, whose file is written.

    The threshold is the strangeness that the budget's share of validation rows exceeds. Where words were learnt from
    the validation rows, too, their vectors say nothing of new rows, so that detectors look at the logits alone.
    """
    asked = context.task.unsure
    if not asked.out_of_scope:
        return singles
    context.run.log("unsure", say="fitting the detector of rows that are out of scope")
    train, validation = _drawn(context.parts["train"], context.task.seed), context.parts["validation"]
    vectors = [predictor.embed(part.inputs) for part in (train, validation)]
    truths = [context.kind.encode(part.truth) for part in (train, validation)]
    out = []
    for one in singles:
        if isinstance(one.kind, Classify):
            seen = [_seen(context, one.name, *of) for of in zip(vectors, truths, strict=True)]
            logits, _ = own(context, one.name, fitted.validation_logits, truths[1])
            names = BY_LOGITS if fitted.backbone is not None else DETECTORS
            told, arrays = _told(context, one.kind, seen[0], seen[1], logits, names)
            file = _written(folder, one.name, arrays) if arrays else ""
            context.run.log("unsure", say=_said(one.name, told))
            one = replace(one, kind=replace(one.kind, scope=told | {"file": file}))
        out.append(one)
    return tuple(out)


def _told(
    context: Context, kind: Classify, train: Seen, validation: Seen, logits: Array, names: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """What the kind is told, and the arrays of the detector."""
    asked, seed = context.task.unsure, context.task.seed
    chosen, areas = str(asked.detector), dict[str, float]()
    if chosen not in ("auto", *names):
        said = (
            f"{chosen} looks at vectors, which hold words that were learnt from the validation rows: another is taken"
        )
        context.run.log("unsure", say=said)
    if chosen not in names:
        chosen, areas = best_detector(names, train, validation, seed)
    arrays = kept(chosen, train, kind, logits, validation.vectors, seed)
    scores = np.sort(strangeness(chosen, kind, logits, validation.vectors, arrays))
    threshold = rounded_up(scores[min(rank_of(asked.out_of_scope, len(scores)), len(scores)) - 1])
    told = {"detector": chosen, "threshold": threshold, "share": asked.out_of_scope, "rows": len(scores)}
    return told | ({"areas": areas} if areas else {}), arrays


def _said(name: str, told: Mapping[str, Any]) -> str:
    areas = ", ".join(f"{detector} {area:.3f}" for detector, area in told.get("areas", {}).items())
    tried = f"; AUROC on classes held out: {areas}" if areas else ""
    return f"{name}: strange rows are told by {told['detector']}{tried}"


def _drawn(part: Part, seed: int) -> Part:
    """The part, or ``MOST_ROWS`` rows of it."""
    if len(part.truth) <= MOST_ROWS:
        return part
    rows = np.sort(np.random.default_rng(seed).permutation(len(part.truth))[:MOST_ROWS]).tolist()
    inputs = {name: [values[row] for row in rows] for name, values in part.inputs.items()}
    return Part(inputs, [part.truth[row] for row in rows])


def _seen(context: Context, name: str, vectors: Array, truth: Array) -> Seen:
    rows, mine = known(context.kind, name, truth)
    return Seen(vectors[rows], mine)


def _written(folder: Path, name: str, arrays: Mapping[str, Array]) -> str:
    """The arrays in a file that is named by its content; its path in the bundle."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    path = f"scope.{name}-{hashlib.sha256(content.getvalue()).hexdigest()[:12]}.npz"
    (folder / path).write_bytes(content.getvalue())
    return path
