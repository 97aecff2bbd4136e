"""What models that are no bundles have in common: a task made of what they tell, and logits from probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tunewright.core.task import Task
from tunewright.core.types import Array

LABEL = "label"
"""Target, and label column, where nothing else is named."""
SMALLEST = 1e-12
"""Probabilities below count as this: a logarithm must be finite."""


def plain_task(text: Sequence[str], targets: Mapping[str, tuple[str, Sequence[str]]], label: str | None) -> Task:
    """The task of a model that came without one.

    targets : name → kind and labels
    label : the column of the labels, where there is one target; default: the target's name
    """
    one = label if len(targets) == 1 else None
    listed = [
        {"name": name, "column": one or name, "kind": kind, "labels": tuple(labels)}
        for name, (kind, labels) in targets.items()
    ]
    return Task.model_validate({"inputs": dict.fromkeys(text, "text"), "targets": listed})


def log_of(proba: Array) -> Array:
    """float64 logits whose softmax gives the probabilities again.

    >>> log_of(np.array([[1.0, 0.5]])).round(3).tolist()
    [[0.0, -0.693]]
    """
    return np.asarray(np.log(np.maximum(proba, SMALLEST)))


def log_odds_of(proba: Array) -> Array:
    """float64 logits whose sigmoid gives the probabilities again."""
    bounded = np.clip(proba, SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(bounded) - np.log1p(-bounded))
