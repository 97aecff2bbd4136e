"""An ensemble distilled into one model: it learns the mean answers of several trainings beside the true ones.

Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunewright.core.types import Array, Kind
from tunewright.train.context import Context
from tunewright.train.course import Best, Course, Model
from tunewright.train.loop import descend
from tunewright.train.members import Member, Place, members
from tunewright.train.outputs import outputs

KINDS = ("classify", "multilabel", "regress")
SHARE = 0.5
"""Of the ensemble's answers in what is learnt; the rest is the truth."""
TEMPERATURE = 1.0
"""By which the members' logits are divided, beyond the temperature that the calibration of each found on the validation
part: that one softens them as far as the rows ask for."""
TINY = 1e-7


def ensemble(context: Context, course: Course, model: Model) -> tuple[Best, dict[str, Any]]:
    """``fit.ensemble`` trainings, then one more that learns from all of them; the model holds it afterwards.

    Returns
    -------
    The best of the last training, and what is to be told of it: the members' scores and their mean, that of the
    ensemble, and its own.
    """
    count, place = course.fit.ensemble, Place(course, model)
    made = members(place, count, shares=count + 1)
    truth = context.validation.truth
    kinds = [context.kind.calibrate(one.outputs, truth) for one in made]
    together = mean_answers(kinds, [one.outputs for one in made])
    scored = context.kind.row_score(as_logits(context.kind, together), truth)
    scores = [one.score for one in made]
    told = {
        "member_scores": scores,
        "members_mean": round(float(np.mean(scores)), 6),
        "ensemble_score": round(float(scored.mean()), 6),
    }
    said = f"{course.name}: an ensemble of {len(made)}, validation {course.metric} {told['ensemble_score']:.4f}"
    course.run.log("ensemble", method=course.name, **told, say=f"{said}; now one model learns from it")
    taught = mean_answers(kinds, [_on_training_rows(context, place, one) for one in made])
    place.put(place.start.values, place.start.carried)
    mixed = context.kind.spread(mix(context.kind, context.train.truth, taught), course.feed.windows)
    last = course.checkpoints.with_name(f"distilled-{course.checkpoints.name}")
    best, facts = descend(replace(course, feed=replace(course.feed, wanted=mixed), checkpoints=last), model)
    told["distilled_score"] = best.score
    return best, {**facts, **told}


def mean_answers(kinds: Sequence[Kind], logits: Sequence[Array]) -> Array:
    """The mean of calibrated probabilities, float64 (n, k); of numbers, that of the logits.

    kinds, logits : one of each member
    """
    each = [
        kind.proba(one / TEMPERATURE) if kind.labels else one.astype(np.float64)
        for kind, one in zip(kinds, logits, strict=True)
    ]
    out: Array = np.mean(each, axis=0)
    return out


def as_logits(kind: Kind, answers: Array) -> Array:
    """Logits (n, k) that a kind which is not calibrated takes for these answers."""
    if not kind.labels:
        return answers
    proba: Array = np.clip(answers, TINY, 1 - TINY)
    of_labels: Array = np.log(proba) - (0 if _one_of(kind, len(answers)) else np.log1p(-proba))
    return of_labels


def mix(kind: Kind, truth: Array, answers: Array) -> Array:
    """What is learnt: ``SHARE`` of the ensemble's answers, and the truth; the loss of every head is linear in it.

    For numbers, whose loss is squared, learning the mixture has the same gradient as the mixture of both losses.

    truth : (n,) or (n, k), as the kind codes it; answers : (n, k)
    """
    if not kind.labels:
        return (1 - SHARE) * truth + SHARE * kind.decide(answers)
    hard = np.eye(kind.size)[truth] if truth.ndim == 1 else truth
    return ((1 - SHARE) * hard + SHARE * answers).astype(np.float32)


def _one_of(kind: Kind, rows: int) -> bool:
    """Whether a row has one label, decided by the largest probability."""
    return kind.decide(np.zeros((rows, kind.size), np.float32)).ndim == 1


def _on_training_rows(context: Context, place: Place, member: Member) -> Array:
    """Logits (n, k) of a member on the rows that it has learnt from."""
    course = place.course
    place.put(member.values, member.carried)
    pieces = outputs(place.model, course.feed, course.device, bf16=course.bf16)
    return context.kind.gather(pieces, course.feed.windows)
