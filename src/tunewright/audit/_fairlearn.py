"""Values of each group, through fairlearn's MetricFrame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from fairlearn.metrics import MetricFrame

from tunewright.core.types import Array


def framed(measures: Mapping[str, Callable[[Array], Any]], groups: Array) -> dict[str, list[Any]]:
    """Name → the value of each group, in the order of their numbers.

    measures : name → a function of row numbers, whose value may be an array; groups : int64 (n,), from 0 on
    """
    rows = np.arange(len(groups))
    # The frame hands on the rows of a group as "true" and as "predicted": what is measured may be of any shape.
    metrics = {name: lambda rows, _, measure=measure: measure(np.asarray(rows)) for name, measure in measures.items()}
    frame = MetricFrame(metrics=metrics, y_true=rows, y_pred=rows, sensitive_features=groups)
    return {name: frame.by_group[name].to_list() for name in measures}
