"""For few rows: the encoder learns from pairs which rows belong together, then the probe on its embeddings."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array
from tunewright.kinds._several import named_kind
from tunewright.methods import probe
from tunewright.methods._pairs import LEAST, ByLength, Contrast, Pairs, nearest_others
from tunewright.methods._states import Upper, kept_bytes, states_feed
from tunewright.train.context import Context, Examples, Fitted, Part, encode, of_rows, outputs
from tunewright.train.course import Course, Judge
from tunewright.train.feed import Feed
from tunewright.train.loop import descend

KINDS = ("classify",)
LAYERS = 2
"""The last layers are trained, on cached states of those below."""
RATE = 3e-4
PASSES = 4
"""How often each row is first of a pair, within ``STEPS``."""
STEPS = (30, 300)
NEAR = 3
"""Rows of other classes, closest to a row before training, that come beside it."""
WINDOWS = 8_000
"""Windows that pairs are drawn from, at the most; the probe learns from all."""
SHARE = 0.5
"""How far the weights go from those before training to the tuned ones. Source: Wortsman et al. 2022, WiSE-FT."""
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
    begun = context.run.elapsed
    model = _model(context)
    learnt, judged = _feed(context, model, context.train, learnt=True), _feed(context, model, context.validation)
    truth = context.validation.truth
    before = _values(model)

    def judge(_: nn.Module) -> tuple[float, tuple[probe.Weights, Array] | None]:
        tuned = _values(model)
        if all(torch.equal(*both) for both in zip(before, tuned, strict=True)):
            return _score(context, start.validation_logits, truth), None
        _put(model, _between(before, tuned))
        weights = _solved(context, model, learnt, context.train.truth, start)
        logits = probe.linear(_embeddings(context, model, judged), weights)
        _put(model, tuned)
        return _score(context, logits, truth) + TIE, (weights, logits)

    best, told = descend(_course(context, model, learnt, context.train_embeddings, judge), model)
    _put(model, _between(before, _values(model)))
    seconds = context.run.elapsed - begun
    facts = _facts(context, model, start, learnt, judged, told)
    if best.outputs is None:
        return _as_it_was(start, facts)
    weights, logits = best.outputs

    def refit() -> Fitted:
        # Cut short, a second training would be worse than the first.
        if 1.5 * seconds > context.run.left:
            return fitted
        again = _on_all_rows(context, start)
        return replace(again, validation_logits=logits, facts=facts)

    fitted = _fitted(context, model, weights, logits, facts)
    return replace(fitted, refit=refit)


def _on_all_rows(context: Context, start: Fitted) -> Fitted:
    """The same training on training and validation rows together; nothing is left to judge by, so its end is taken."""
    parts = [context.parts[name] for name in ("train", "validation")]
    columns = list(context.task.inputs)
    inputs = {column: [value for part in parts for value in part.inputs[column]] for column in columns}
    both = Part(inputs, [value for part in parts for value in part.truth])
    examples = encode(both, columns, context.backbone.modality, context.kind)
    model = _model(context)
    before = _values(model)
    learnt = _feed(context, model, examples, learnt=True)
    vectors = np.concatenate([context.train_embeddings, context.validation_embeddings])
    calls = count()
    descend(_course(context, model, learnt, vectors, lambda _: (float(next(calls)), None)), model)
    _put(model, _between(before, _values(model)))
    weights = _solved(context, model, learnt, examples.truth, start)
    return _fitted(context, model, weights, start.validation_logits, {})


def _model(context: Context) -> ByLength:
    encoder = context.backbone.encoder
    if isinstance(encoder, Encoder):
        return ByLength(Upper(encoder, max(0, len(encoder.layers) - LAYERS)), Contrast(context.backbone.pooling))
    return ByLength(copy.deepcopy(encoder), Contrast(context.backbone.pooling))


def _feed(context: Context, model: ByLength, examples: Examples, *, learnt: bool = False) -> Feed:
    if isinstance(model.encoder, Upper):
        return states_feed(context, model.encoder, examples, learnt=learnt)
    return Feed(examples.windows, examples.wanted, context.backbone.modality.batch)


def _values(model: nn.Module) -> list[Tensor]:
    return [one.detach().clone() for one in model.parameters()]


@torch.no_grad()
def _put(model: nn.Module, values: Iterable[Tensor]) -> None:
    for one, value in zip(model.parameters(), values, strict=True):
        one.copy_(value)


def _between(before: Iterable[Tensor], tuned: Iterable[Tensor]) -> list[Tensor]:
    return [one.lerp(other, SHARE) for one, other in zip(before, tuned, strict=True)]


def _course(context: Context, model: ByLength, feed: Feed, vectors: NDArray[np.float32], judge: Judge) -> Course:
    """One epoch of pairs, as many steps as the rows need.

    vectors : float32 (n, d), embeddings before training
    """
    draws = np.random.default_rng(context.task.seed)
    chosen = np.sort(draws.permutation(len(feed))[:WINDOWS])
    wanted = np.asarray(feed.wanted)
    near = nearest_others(vectors[feed.windows.owner[chosen]], wanted[chosen], NEAR)
    rows = 2 * max(LEAST, context.task.fit.batch_rows)
    steps = int(np.clip(math.ceil(2 * PASSES * len(chosen) / rows), *STEPS))
    # The states of layers that do not move need not be kept for the way back, so more rows fit at once.
    room = max(1, len(model.encoder.whole.layers) // LAYERS) if isinstance(model.encoder, Upper) else 1
    pairs = Pairs(feed.windows, wanted.copy(), feed.batch, chosen=chosen, near=near, steps=steps, rows=rows, room=room)
    course = context.course("contrastive", model, rate=RATE, feed=pairs)
    return replace(course, judge=judge, fit=course.fit.model_copy(update={"epochs": 1, "batch_rows": rows}))


def _embeddings(context: Context, model: ByLength, feed: Feed, *, bf16: bool = False) -> NDArray[np.float32]:
    """float32 (n, d)"""
    return of_rows(outputs(model, feed, context.device, bf16=bf16), feed.windows)


def _solved(context: Context, model: ByLength, feed: Feed, truth: Array, start: Fitted) -> probe.Weights:
    """The probe on tuned embeddings, as strong as the plain one; they know their labels, so no fold could choose it."""
    vectors = _embeddings(context, model, feed, bf16=context.bf16)
    solver = probe.SOLVERS[context.kind.closed_form or ""]
    return solver(vectors, truth, context.kind.size, start.facts["strength"])


def _score(context: Context, logits: Array, truth: Array) -> float:
    return round(float(context.kind.row_score(logits, truth).mean()), 6)


def _fitted(context: Context, model: ByLength, weights: probe.Weights, logits: Array, facts: dict[str, Any]) -> Fitted:
    head = context.new_head()
    head.start(torch.from_numpy(weights[0]), torch.from_numpy(weights[1]))  # type: ignore[operator]
    encoder = model.encoder.whole if isinstance(model.encoder, Upper) else model.encoder
    return Fitted("contrastive", encoder, head, logits, facts)


def _as_it_was(start: Fitted, facts: dict[str, Any]) -> Fitted:
    """The plain probe under this method's name."""

    def refit() -> Fitted:
        assert start.refit is not None
        return replace(start.refit(), method="contrastive", facts=facts, refit=None)

    return replace(start, method="contrastive", facts=facts, refit=refit if start.refit else None)


def _facts(
    context: Context, model: ByLength, start: Fitted, learnt: Feed, judged: Feed, told: dict[str, Any]
) -> dict[str, Any]:
    head = context.kind.size * (context.backbone.width + 1)
    own = {"trainable_parameters": told["trainable_parameters"] + head, "strength": start.facts["strength"]}
    own |= {"scores": [round(score, 6) for score in told["scores"]], "bf16": context.bf16}
    own |= {"tuned": told["best_step"] > 0, "cached_bytes": kept_bytes(learnt, judged)}
    if isinstance(model.encoder, Upper):
        own |= {"layers": len(model.encoder.above.layers), "depth": model.encoder.depth}
    return told | own
