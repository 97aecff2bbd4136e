"""Learning from the bundle as it was: its softened answers, its embeddings and the true labels, in the one loop.

Sources: Hinton et al. 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531); Reimers and Gurevych 2020
(EMNLP), Making Monolingual Sentence Embeddings Multilingual, for the embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.compress._lessons import Taught
from tunewright.core.types import Array, Kind
from tunewright.heads._pooled import Embed
from tunewright.heads._several import SeveralHead
from tunewright.kinds._several import Several
from tunewright.train.context import Context
from tunewright.train.course import Best, Course, Groups, Model, decayed
from tunewright.train.loop import descend
from tunewright.train.step import plain

SOFT = 0.5
"""Share of the teacher's softened answers in the loss of the answers; the rest is the truth."""
VECTORS = 1.0
"""Weight of the embeddings' loss beside that of the answers."""
KINDS = ("classify", "multilabel", "regress")


class Pupil(nn.Module):
    """A model that gives its embedding beside its logits: (b, k + d), d being the teacher's width.

    Where the widths differ a matrix turns one embedding into the other; it is thrown away afterwards.
    """

    def __init__(self, model: Model, pooling: str, width: int, teacher: int) -> None:
        super().__init__()
        self.model = model
        self.embed = Embed(pooling)
        self.turn = nn.Linear(width, teacher, bias=False) if width != teacher else nn.Identity()

    def forward(self, **arrays: Tensor) -> Tensor:
        states, mask = self.model.encoder(**arrays)
        states = states.float()
        turned = nn.functional.normalize(self.turn(self.embed(states, mask)).float(), dim=-1)
        return torch.cat([self.model.head(states, mask).float(), turned], -1)


@dataclass(frozen=True)
class Place:
    """Where a target stands: among the logits, and with truth and softened answers in what is wanted."""

    head: Any
    labels: bool
    weight: float
    logits: slice
    truth: slice
    soft: slice


@dataclass(frozen=True)
class Lesson:
    """The loss of a pupil; both arrays are laid out by ``places``, with the embedding at their end.

    size : how many logits there are, behind which the embedding stands; width : of the teacher's embedding
    """

    places: tuple[Place, ...]
    size: int
    width: int
    temperature: float

    def loss(self, given: Tensor, wanted: Tensor) -> Tensor:
        """given float32 (b, k + d), wanted float32 (b, c + d) → loss of each row (b,)"""
        told = given.new_zeros(len(given))
        for one in self.places:
            warm = self.temperature if one.labels else 1.0
            logits, truth, soft = given[:, one.logits], wanted[:, one.truth], wanted[:, one.soft]
            if not one.labels:
                truth, soft = truth[:, 0], soft[:, 0]
            true = one.head.loss(logits, truth)
            answers = one.head.loss(logits / warm, soft) * warm**2
            told = told + one.weight * ((1 - SOFT) * true + SOFT * answers)
        alike = (given[:, self.size :] * wanted[:, -self.width :]).sum(-1)
        return told + VECTORS * (1 - alike)


def taught(
    context: Context,
    model: Model,
    told: Taught,
    *,
    name: str,
    rate: float,
    temperature: float,
    groups: Groups = decayed,
) -> tuple[Best, dict[str, Any]]:
    """Train encoder and head to answer as the teacher does; the model holds the best values afterwards."""
    lesson, wanted = lesson_of(context, model.head, told, temperature)
    course: Course = context.course(name, model, rate=rate)
    feed = replace(course.feed, wanted=wanted[context.train.windows.owner], apart=True)
    torch.manual_seed(context.task.seed)
    pupil = Pupil(model, context.backbone.pooling, context.backbone.width, told.vectors.shape[1]).to(context.device)
    return descend(replace(course, feed=feed, loss=lesson.loss, step=plain, groups=groups), pupil)


def lesson_of(context: Context, head: nn.Module, told: Taught, temperature: float) -> tuple[Lesson, Array]:
    """The loss, and what is wanted of the training rows, float32 (n, c + d)."""
    columns: list[Array] = []
    places: list[Place] = []
    heads = list(head.heads) if isinstance(head, SeveralHead) else [head]
    at, begin = 0, 0
    whole = sum(one.weight for one in context.singles)
    for single, own in zip(context.singles, heads, strict=True):
        truth = true_answers(context, told, single.name)
        soft = softened(told.kinds[single.name], told.logits[single.name][told.train], temperature)
        ends = at + truth.shape[1], at + 2 * truth.shape[1]
        logits = slice(begin, begin + single.kind.size)
        share = single.weight / whole
        places.append(Place(own, bool(single.kind.labels), share, logits, slice(at, ends[0]), slice(*ends)))
        columns += [truth, soft]
        at, begin = ends[1], logits.stop
    vectors = told.vectors[told.train]
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    wanted = np.concatenate([*columns, unit], 1).astype(np.float32)
    return Lesson(tuple(places), begin, unit.shape[1], temperature), wanted


def true_answers(context: Context, told: Taught, target: str) -> Array:
    """(n, c): the truth of the training rows as shares of labels, or numbers; where there is none, the teacher's."""
    kind, rows = told.kinds[target], told.train
    answers = softened(kind, told.logits[target][rows], 1.0)
    owned = rows < told.labelled
    truth = context.kind.encode(context.parts["train"].truth)
    if isinstance(context.kind, Several):
        slot = next(one for one in context.kind.slots if one.single.name == target)
        owned &= slot.known(truth)
        hard = shares_of(kind, slot.own(truth[owned]))
    else:
        hard = shares_of(kind, truth[owned])
    answers[owned] = hard
    return answers


def shares_of(kind: Kind, truth: Array) -> Array:
    """Truth as float (n, c): one-hot, labels as they are, numbers as one column."""
    if not kind.labels:
        return truth.astype(np.float64)[:, None]
    return np.eye(kind.size)[truth] if truth.ndim == 1 else truth.astype(np.float64)


def softened(kind: Kind, logits: Array, temperature: float) -> Array:
    """float64 (n, c): calibrated probabilities at a temperature, or the numbers decided."""
    if not kind.labels:
        return np.asarray(kind.decide(logits), np.float64).reshape(len(logits), 1)
    return np.array(kind.proba(logits / temperature), np.float64)


def settings_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a training tells, as far as it belongs into a bundle."""
    return {name: told[name] for name in ("steps", "best_step", "scores", "stopped") if name in told}


def recovered(context: Context, best: Best, told: Mapping[str, Any]) -> str:
    """What a training brought, in words."""
    metric, rows = context.kind.headline[0], len(context.validation)
    scores = f"{best.scores[0]:.4f} before it, {best.score:.4f} after"
    return f"{told['steps']:,} steps of training; validation {metric} on {rows:,} rows held back: {scores}"
