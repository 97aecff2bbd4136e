"""The drift reference: how inputs and answers looked at fit. Numbers only, no row; it cannot be made later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Kind

QUANTILES = np.linspace(0, 1, 21)


def reference(cost: NDArray[np.int64], logits: Array, embeddings: NDArray[np.float32], kind: Kind) -> dict[str, Any]:
    """Distributions on held-out rows.

    Parameters
    ----------
    cost : int64 (m,), tokens (pixels, frames) per window
    logits : (n, k) of held-out rows
    embeddings : float32 (n, d) of the same rows, from the graphs that ship

    Returns
    -------
    JSON values: quantiles of cost and of the best score, shares of decided labels, mean and spread of the embedding
    """
    return _of_inputs(len(logits), cost, embeddings) | _of_answers(logits, kind)


def reference_of_each(
    cost: NDArray[np.int64], embeddings: NDArray[np.float32], answered: Mapping[str, tuple[Array, Kind]]
) -> dict[str, Any]:
    """As ``reference``, for several targets: those of the answers stand under ``targets``, by the target's name.

    answered : target → its logits (n, k) and its kind
    """
    rows = len(next(iter(answered.values()))[0])
    return _of_inputs(rows, cost, embeddings) | {"targets": {name: _of_answers(*one) for name, one in answered.items()}}


def _of_inputs(rows: int, cost: NDArray[np.int64], embeddings: NDArray[np.float32]) -> dict[str, Any]:
    return {
        "rows": rows,
        "cost_quantiles": np.quantile(cost, QUANTILES).round(2).tolist() if len(cost) else [],
        "embedding_mean": embeddings.mean(0).round(6).tolist() if len(embeddings) else [],
        "embedding_deviation": embeddings.std(0).round(6).tolist() if len(embeddings) else [],
    }


def _of_answers(logits: Array, kind: Kind) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if logits.dtype == object or not len(logits):
        return out
    if kind.labels:
        proba = kind.proba(logits)
        decided = kind.decide(logits)
        counts = decided.sum(0) if decided.ndim == 2 else np.bincount(decided, minlength=len(kind.labels))
        out["label_shares"] = dict(zip(kind.labels, (counts / len(logits)).round(6).tolist(), strict=True))
        out["score_quantiles"] = np.quantile(proba.max(-1), QUANTILES).round(6).tolist()
    else:
        out["value_quantiles"] = np.quantile(kind.decide(logits), QUANTILES).round(6).tolist()
    return out
