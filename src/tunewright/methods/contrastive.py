"""For few rows: the encoder learns from pairs which rows belong together, then the probe on its embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunewright.backbones._encoder import Encoder
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array
from tunewright.kinds._several import named_kind
from tunewright.methods import probe
from tunewright.methods._packed import Packed
from tunewright.methods._pairs import Contrast, Pairs, cropped, nearest_others
from tunewright.methods._partial import shared, thaw
from tunewright.methods._schedule import scheduled
from tunewright.methods._strength import Weights, given, linear
from tunewright.train.context import Context
from tunewright.train.course import Course, Judge
from tunewright.train.examples import Examples, both_weights, encode
from tunewright.train.feed import Feed
from tunewright.train.fitted import Fitted
from tunewright.train.loop import descend
from tunewright.train.outputs import of_rows, outputs

KINDS = ("classify",)
LONG = 32
"""Tokens of a text; where rows are few each pass sees another part of a longer one, which tells what it is about as
well. A shorter one, such as a question, may hang on any word."""
ROOM = 8
"""How many times the tokens of another step's piece run through the encoder together."""
NEAR = 3
"""Rows of other classes, closest to a row before training, that come beside it where a step cannot hold all."""
WINDOWS = 8_000
"""Windows that pairs are drawn from, at the most; the probe learns from all."""
JUDGES = 50
"""Validation rows with which a gain can be told from chance; with fewer the encoder learns from these rows too."""
TIE = 1e-9
"""Where both are equally good on the validation part, the tuned encoder is taken: that is what was asked for."""


def fit(context: Context) -> Fitted:
    """Draw the embeddings of a class together, those of others apart; the plain probe is kept where it is better.

    Source: Tunstall et al. 2022, Efficient Few-Shot Learning Without Prompts (SetFit); Khosla et al. 2020 (the loss).
    """
    if context.target.kind not in KINDS:
        what = named_kind(context.target.kind)
        raise TunewrightError(f"method 'contrastive' does not fit {what}", "use --method full")
    start = context.start or probe.fit(context)
    if len(context.validation) < JUDGES and not context.task.unsure.error:  # a promise needs answers of what ships
        return _unjudged(context, start)
    model = _model(context)
    learnt, judged = _feed(context, context.train), _feed(context, context.validation)
    truth = context.validation.truth
    before = [one.detach().clone() for one in model.parameters()]

    def judge(_: nn.Module) -> tuple[float, tuple[Weights, Array] | None]:
        if all(torch.equal(*both) for both in zip(before, model.parameters(), strict=True)):
            return _score(context, start.validation_logits, truth), None
        weights = _solved(context, model, [(learnt, context.train)], start)
        logits = linear(_embeddings(context, model, judged), weights)
        return _score(context, logits, truth) + TIE, (weights, logits)

    best, told = descend(_course(context, model, learnt, context.train_embeddings, start, judge), model)
    facts = _facts(context, start, told) | {"judged": True}
    if best.outputs is None:
        return _as_it_was(start, facts)
    weights, logits = best.outputs

    def refit() -> Fitted:
        both = [(learnt, context.train), (judged, context.validation)]
        return _fitted(context, model, _solved(context, model, both, start), logits, facts)

    return replace(_fitted(context, model, weights, logits, facts), refit=refit)


def _unjudged(context: Context, start: Fitted) -> Fitted:
    """The plain probe, and one training on all rows to come: validation rows are too few to tell whether it helps.

    What comes then is calibrated by what the probe said of the validation rows.
    """

    facts = start.facts | {"judged": False, "tuned": False, "scores": []}
    return replace(start, method="contrastive", facts=facts, refit=lambda: _on_all_rows(context, start))


def _on_all_rows(context: Context, start: Fitted) -> Fitted:
    """A training on training and validation rows together; nothing is left to judge by, so its end is taken."""
    both = context.parts["train"].joined(context.parts["validation"])
    examples = encode(both, list(context.task.inputs), context.backbone.modality, context.kind)
    model = _model(context)
    learnt = _feed(context, examples)
    vectors = np.concatenate([context.train_embeddings, context.validation_embeddings])
    calls = count()
    _, told = descend(_course(context, model, learnt, vectors, start, lambda _: (float(next(calls)), None)), model)
    weights = _solved(context, model, [(learnt, examples)], start)
    facts = _facts(context, start, told) | {"judged": False, "tuned": True, "scores": []}
    return _fitted(context, model, weights, start.validation_logits, facts)


def _model(context: Context) -> Packed:
    """A copy of the encoder; where it is known which its tables of embeddings are, they are the backbone's own."""
    encoder, known = shared(context), isinstance(context.backbone.encoder, Encoder)
    thaw(encoder, lambda name: not known or name.startswith("layers."))
    return Packed(encoder, Contrast(context.backbone.pooling))


def _feed(context: Context, examples: Examples) -> Feed:
    return Feed(examples.windows, examples.wanted, context.backbone.modality.batch)


def _course(
    context: Context, model: Packed, feed: Feed, vectors: NDArray[np.float32], start: Fitted, judge: Judge
) -> Course:
    """One epoch of pairs, as many steps as the rows need.

    vectors : float32 (n, d), embeddings before training
    """
    draws = np.random.default_rng(context.task.seed)
    chosen = np.sort(draws.permutation(len(feed))[:WINDOWS])
    wanted = np.asarray(feed.wanted)
    plan = scheduled(len(chosen), _wrong(start, len(context.train.truth)))
    pairs = Pairs(
        windows=feed.windows,
        wanted=wanted.copy(),
        batch=cropped(context.backbone.modality, LONG) if plan.few else feed.batch,
        chosen=chosen,
        near=nearest_others(vectors[feed.windows.owner[chosen]], wanted[chosen], NEAR),
        steps=plan.steps,
        rows=plan.rows,
        room=ROOM,
    )
    course = context.course("contrastive", model, rate=plan.rate, feed=pairs)
    own = {"epochs": 1, "batch_rows": plan.rows, "average": 0.0}  # an average of so few steps lies at the start
    return replace(course, judge=judge, fit=course.fit.model_copy(update=own))


def _wrong(start: Fitted, rows: int) -> float:
    """How often the plain probe errs about rows that it did not learn; never quite 0. 1 where that is not known."""
    right = max(start.facts["cross_validation"].values(), default=0.0)
    return ((1 - right) * rows + 1) / (rows + 1)


def _embeddings(context: Context, model: Packed, feed: Feed, *, bf16: bool = False) -> NDArray[np.float32]:
    """float32 (n, d)"""
    return of_rows(outputs(model, feed, context.device, bf16=bf16), feed.windows)


def _solved(context: Context, model: Packed, parts: Sequence[tuple[Feed, Examples]], start: Fitted) -> Weights:
    """The probe on tuned embeddings, as strong as the plain one; they know their labels, so no fold could choose it."""
    vectors = np.concatenate([_embeddings(context, model, feed, bf16=context.bf16) for feed, _ in parts])
    truth = np.concatenate([rows.truth for _, rows in parts])
    weights = reduce(both_weights, [rows.weights for _, rows in parts])
    solver = probe.SOLVERS[context.kind.closed_form or ""]
    return solver(vectors, truth, context.kind.size, start.facts["strength"], *given(weights))


def _score(context: Context, logits: Array, truth: Array) -> float:
    return round(float(context.kind.row_score(logits, truth).mean()), 6)


def _fitted(context: Context, model: Packed, weights: Weights, logits: Array, facts: dict[str, Any]) -> Fitted:
    head = context.new_head()
    head.start(torch.from_numpy(weights[0]), torch.from_numpy(weights[1]))  # type: ignore[operator]
    return Fitted("contrastive", model.encoder.requires_grad_(True), head, logits, facts)


def _as_it_was(start: Fitted, facts: dict[str, Any]) -> Fitted:
    """The plain probe under this method's name."""

    def refit() -> Fitted:
        assert start.refit is not None
        return replace(start.refit(), method="contrastive", facts=facts, refit=None)

    return replace(start, method="contrastive", facts=facts, refit=refit if start.refit else None)


def _facts(context: Context, start: Fitted, told: dict[str, Any]) -> dict[str, Any]:
    head = context.kind.size * (context.backbone.width + 1)
    own = {"trainable_parameters": told["trainable_parameters"] + head, "strength": start.facts["strength"]}
    own |= {"scores": [round(score, 6) for score in told["scores"]], "bf16": context.bf16}
    return told | own | {"tuned": told["best_step"] > 0}
