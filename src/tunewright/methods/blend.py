"""The probe (or what was trained from it) and words alone, blended: each counts for what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from tunewright.core.types import Array
from tunewright.methods import lexical, probe
from tunewright.modalities.ngrams import Ngrams
from tunewright.modalities.text import Text
from tunewright.modalities.text_ngrams import TextNgrams
from tunewright.train.context import Context
from tunewright.train.evidence import Loss, apart, row_loss
from tunewright.train.fitted import Crossed, Fitted

MOST = 20.0
"""The largest factor."""


Factors = NDArray[np.float64]
"""(2,), how much the logits of the probe and those of words count"""


@dataclass(frozen=True)
class Shares:
    """What each of two counts for, and what rows are answered by it.

    factors : (2,)
    validation_logits : float32 (n, k) of the validation rows; apart : the same by factors that were fitted on others
    crossed : training rows by factors that were fitted on others, where both had answered them by cross-validation
    """

    factors: Factors
    validation_logits: Array
    apart: Array
    crossed: Crossed | None


def fit(context: Context) -> Fitted:
    """A sum of the logits of both, with two factors fitted on the validation rows, and on training rows where both have
    answered these by cross-validation.

    What a ladder has fitted already is taken from the context: the best on the backbone, and words alone.
    Source: Wolpert 1992, Stacked generalization; Breiman 1996, Stacked regressions (factors are not negative).
    """
    words = context.words or lexical.fit(context)
    dense = context.dense or context.start or probe.fit(context)
    shares = shares_of(context, dense, words)
    fitted = _fitted(context, dense, words, shares)

    def refit() -> Fitted:
        again = [one.refit() if one.refit is not None else one for one in (dense, words)]
        return _fitted(context, again[0], again[1], shares)

    return replace(fitted, refit=refit)


def shares_of(context: Context, dense: Fitted, words: Fitted) -> Shares:
    """The factors of least loss, and both kinds of answers."""
    logits, truth = [np.stack([dense.validation_logits, words.validation_logits])], [context.validation.truth]
    one, other, rows = dense.crossed, words.crossed, np.zeros(0, np.int64)
    if one is not None and other is not None and np.array_equal(one.rows, other.rows):
        rows = one.rows
        logits.insert(0, np.stack([one.logits, other.logits]))
        truth.insert(0, context.train.truth[rows])
    every, of_every = np.concatenate(logits, 1).astype(np.float64), np.concatenate(truth)
    loss = row_loss(context)
    factors = best_factors(every, of_every, loss)
    apart = out_of_fold(every, of_every, loss, context.task.seed)
    judged = blended(factors, every[:, len(rows) :]).astype(np.float32)
    return Shares(factors, judged, apart[len(rows) :], Crossed(rows, apart[: len(rows)]) if len(rows) else None)


def best_factors(logits: NDArray[np.float64], truth: Array, loss: Loss) -> Factors:
    """The factors of least mean loss, none below zero; logits : (2, n, k). Without rows they are both 1."""
    if not len(truth):
        return np.ones(2)

    def mean_loss(factors: Factors) -> float:
        return float(loss(blended(factors, logits), truth).mean())

    found: Factors = minimize(mean_loss, np.ones(2), method="L-BFGS-B", bounds=[(0.0, MOST)] * 2).x
    return found if found.any() else np.ones(2)


def out_of_fold(logits: NDArray[np.float64], truth: Array, loss: Loss, seed: int) -> Array:
    """float32 (n, k): every row blended by factors that were fitted on rows of other folds."""
    out = np.zeros(logits.shape[1:], np.float32)
    for judged, others in apart(len(truth), seed):
        out[judged] = blended(best_factors(logits[:, others], truth[others], loss), logits[:, judged])
    return out


def blended(factors: Factors, logits: Array) -> Array:
    """(n, k): the sum over both, each times its factor; logits : (2, n, k)."""
    summed: Array = np.tensordot(factors, logits, 1)
    return summed


class Both(nn.Module):
    """Token states, and behind them the sum of the row's n-grams, the same at every token.

    width : of the states and the sum together
    """

    def __init__(self, encoder: nn.Module, words: lexical.NgramSum, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.words_alone = words
        self.width = width + words.width

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, features: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As ``Encoder`` and ``NgramSum`` take them → states (b, t, d + k), mask float32 (b, t)"""
        states, mask = self.encoder(input_ids, attention_mask)
        sums, _ = self.words_alone(features, weights)
        return torch.cat([states, sums.expand(-1, states.shape[1], -1)], -1), mask


class BlendHead(nn.Module):
    """The heads of both on their parts of the states (b, t, d + k): logits (b, k).

    width : d
    """

    factors: Tensor

    def __init__(self, dense: nn.Module, words: nn.Module, width: int, factors: Factors) -> None:
        super().__init__()
        self.dense = dense
        self.words_alone = words
        self.width = width
        self.register_buffer("factors", torch.from_numpy(factors).float())

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (b, t, d + k), mask (b, t) → logits (b, k)"""
        dense = self.dense(states[..., : self.width], mask)
        words = self.words_alone(states[..., self.width :], mask)
        return self.factors[0] * dense + self.factors[1] * words  # type: ignore[no-any-return]


def _fitted(context: Context, dense: Fitted, words: Fitted, shares: Shares) -> Fitted:
    backbone = context.backbone
    assert words.backbone is not None
    assert isinstance(words.encoder, lexical.NgramSum)
    ngrams, text = words.backbone.modality, backbone.modality
    assert isinstance(text, Text)
    assert isinstance(ngrams, Ngrams)
    encoder = Both(dense.encoder, words.encoder, backbone.width)
    head = BlendHead(dense.head, words.head, backbone.width, shares.factors).to(context.device)
    factors = zip((dense, words), shares.factors, strict=True)
    facts = {
        "factors": {one.method: round(float(factor), 6) for one, factor in factors},
        "out_of_fold": round(float(context.kind.row_score(shares.apart, context.validation.truth).mean()), 6),
        "strength": {one.method: one.facts["strength"] for one in (dense, words) if "strength" in one.facts},
        "ngrams": words.facts["ngrams"],
        "trainable_parameters": 2 + sum(one.facts["trainable_parameters"] for one in (dense, words)),
    }
    if "strength" not in dense.facts:
        facts["trained"] = dense.facts
    modality = TextNgrams(text, ngrams)
    both = replace(backbone, modality_name="text_ngrams", modality=modality, encoder=encoder, width=encoder.width)
    made = Fitted("blend", encoder, head, shares.validation_logits, facts, backbone=both, found=context.found)
    return replace(made, apart=shares.apart, crossed=shares.crossed)
