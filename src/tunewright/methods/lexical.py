"""Word and character n-grams weighed by TF-IDF and a linear model: no pretrained network, trained in seconds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from torch import Tensor, nn
from torch.nn import functional

from tunewright.backbones._catalogue import Found
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Ragged, Windows
from tunewright.heads._pooled import mean
from tunewright.methods import probe
from tunewright.methods._side_by_side import solver_of
from tunewright.methods._strength import Solver, Weights, choose_strength, given, linear
from tunewright.modalities.ngrams import Ngrams
from tunewright.train.context import Context
from tunewright.train.examples import Examples, Part, encode
from tunewright.train.fitted import Fitted

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Inverse regularisation C, weakest model first; the search starts in the middle."""
MOST_NGRAMS = 2**17
MOST_NUMBERS = 2**24
"""Numbers in the table of weights at the most: with many classes the vocabulary is smaller."""
MOST_FEATURES = 2**24
"""Features of all rows that are learnt from: above it rows are drawn, so that memory and time do not grow on."""
MOST_MARGINS = 2**24
"""Rows × classes that are learnt from at the most."""
COUNTED_ROWS = 100_000
"""Rows that the vocabulary is counted on at the most."""
WEIGHED_ROWS = 1_000
"""Rows that tell how many features a row has."""

MANY_CLASSES = 32
"""With more classes one joint problem is solved: on Banking77 sooner (2.4 s, not 4.1 s) and no worse."""
ITERATIONS = 300
TOLERANCE = 0.1


def fit(context: Context) -> Fitted:
    """A linear model on n-grams. Source: Wang and Manning 2012, Baselines and bigrams (simple, good classification)."""
    kind, parts = context.kind, context.parts
    solver = solver_of(kind, SOLVERS)
    if solver is None:
        raise TunewrightError(f"method 'lexical' does not fit kind {context.target.kind!r}", "use --method full")
    strange = set(context.task.inputs.values()) - {"text"}
    if strange:
        raise TunewrightError(f"method 'lexical' reads text, not {', '.join(sorted(strange))}", "use --method full")
    modality, examples = _counted(context, parts["train"])
    strength, scores, crossed = choose_strength(
        _matrix(modality, examples.windows),
        examples.truth,
        kind,
        solver,
        context.task.seed,
        lambda: context.run.stopping,
        STRENGTHS,
        examples.weights,
    )
    told = {"strength": strength, "cross_validation": scores}
    fitted = _fitted(context, modality, examples, solver, told)
    if len(examples) == len(parts["train"].truth):  # else they are rows that were drawn
        fitted = replace(fitted, crossed=crossed)

    def refit() -> Fitted:
        again = _fitted(context, *_counted(context, parts["train"].joined(parts["validation"])), solver, told)
        return replace(again, validation_logits=fitted.validation_logits, crossed=fitted.crossed)

    return replace(fitted, refit=refit)


class NgramSum(nn.Module):
    """The encoder: one vector for each n-gram, summed with the row's weights to one state.

    table : float32 (v, k)
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.width = table.shape[1]
        self.table = nn.Parameter(table)

    def forward(self, features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """features int32 (b, t), weights float32 (b, t) → states (b, 1, k), mask (b, 1) of ones"""
        vectors = functional.embedding(features, self.table)
        return weights.unsqueeze(1) @ vectors, torch.ones_like(weights[:, :1])


class Shift(nn.Module):
    """The head: the state and a bias for each class, for the table holds the weights of the linear model itself."""

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.bias = nn.Parameter(bias)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (b, 1, k), mask (b, 1) → logits (b, k)"""
        return mean(states, mask) + self.bias


def _counted(context: Context, part: Part) -> tuple[Ngrams, Examples]:
    """The vocabulary of a part, and the rows of it that are learnt from."""
    rows, classes = len(part.truth), context.kind.size
    drawn = np.random.default_rng(context.task.seed).permutation(rows)
    modality = Ngrams.learn(
        _columns(context, _some(part, drawn[:COUNTED_ROWS])),
        min(MOST_NGRAMS, MOST_NUMBERS // classes),
        mask=context.task.privacy.mask,
    )
    weighed = modality.windows(_columns(context, _some(part, drawn[:WEIGHED_ROWS])))
    each = max(1, len(_ragged(weighed, "features").values) // weighed.rows)
    most = min(MOST_FEATURES // each, MOST_MARGINS // classes)
    if rows > most:
        context.run.log("rows", say=f"lexical: learning from {most:,} rows drawn from {rows:,}")
    return modality, encode(_some(part, drawn[:most]), list(context.task.inputs), modality, context.kind)


def _fitted(context: Context, modality: Ngrams, examples: Examples, solver: Solver, told: dict[str, Any]) -> Fitted:
    counted = given(examples.weights)
    weights = solver(_matrix(modality, examples.windows), examples.truth, context.kind.size, told["strength"], *counted)
    validation = context.examples("validation", modality)
    encoder = NgramSum(torch.from_numpy(weights[0].T.astype(np.float32, order="C"))).to(context.device)
    sizes = {"ngrams": len(modality.vocabulary), "rows": len(examples)}
    return Fitted(
        "lexical",
        encoder,
        Shift(torch.from_numpy(weights[1]).float()).to(context.device),
        linear(_matrix(modality, validation.windows), weights),
        {**told, **sizes, "trainable_parameters": weights[0].size + weights[1].size},
        backbone=LoadedBackbone("ngrams", "ngrams", modality, encoder, encoder.width, "mean", {}),
        found=Found("n-grams", Path(), "rows", modality.digest, False),
    )


def _matrix(modality: Ngrams, windows: Windows) -> Any:
    """float64 (n, v): the weighed n-grams of n rows, sparse; of an empty vocabulary one column that is never used."""
    weights = _ragged(windows, "weights")
    shape = windows.rows, max(1, len(modality.vocabulary))
    indices = _ragged(windows, "features").values
    return csr_array((weights.values.astype(np.float64), indices, weights.starts.astype(np.int32)), shape)


def _ragged(windows: Windows, name: str) -> Ragged:
    found = windows.data[name]
    assert isinstance(found, Ragged)
    return found


def _columns(context: Context, part: Part) -> list[Sequence[Any]]:
    return [part.inputs[column] for column in context.task.inputs]


def _some(part: Part, drawn: NDArray[np.int64]) -> Part:
    """The rows that were drawn, in the order that they have."""
    return part.take(np.sort(drawn).tolist())


def _margins(features: Any, truth: Array, size: int, strength: float, weights: Array | None = None) -> Weights:
    """Linear support vector machines, one class against the others; of many classes, all at once.

    Source: Fan et al. 2008, LIBLINEAR; Crammer and Singer 2001, multiclass kernel-based vector machines.
    """
    # The joint problem of LIBLINEAR takes no weights of rows.
    ways = "crammer_singer" if len(np.unique(truth)) > MANY_CLASSES and weights is None else "ovr"
    model = LinearSVC(C=strength, tol=TOLERANCE, max_iter=ITERATIONS, dual=True, multi_class=ways, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return probe.of_all_classes(model, features, truth, size, weights)


def _margins_per_label(features: Any, truth: Array, size: int, strength: float) -> Weights:
    return probe.per_label(_margins, features, truth, size, strength)


SOLVERS: dict[str, Solver] = {
    "logistic": _margins,
    "logistic_per_label": _margins_per_label,
    "ridge": probe.SOLVERS["ridge"],
}
