"""Words that drive each class: what the model loses without them, over the rows that it answers so."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._explainers import CHARACTERS, FEWEST
from tunewright.core.types import Exhibit
from tunewright.runtime.explain import MOST, explain
from tunewright.runtime.explainer import Asked

ROWS = 200
"""Rows that are explained at the most, drawn by the seed."""
LEAST_ROWS = 5
"""Rows that a word must stand in: what one customer wrote is no word of a class, and not for the report."""
SHOWN = 10


def driving_words(context: Context, model: Asked, target: str, rows: NDArray[np.int64]) -> Exhibit:
    """For each class the words with the largest mean occlusion weight; only such as hold letters and no digit."""
    lengths = [sum(len(str(values[row] or "")) for values in context.inputs.values()) for row in rows]
    most = max(FEWEST, min(ROWS, int(CHARACTERS / (MOST * max(1.0, float(np.mean(lengths)))))))
    drawn = np.sort(np.random.default_rng(context.seed).permutation(rows)[:most])
    texts = {column: [values[row] for row in drawn] for column, values in context.inputs.items()}
    found: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for told in explain(model, texts, target=target):
        for piece in told.pieces if len(told.pieces) == told.words else ():
            word = piece.text.casefold()
            if any(map(str.isalpha, word)) and not any(map(str.isdigit, word)):
                of_row = found[str(told.label), word]
                of_row[told.row] = of_row.get(told.row, 0.0) + piece.weight
    means = [
        (label, word, float(np.mean(list(weights.values()))), len(weights))
        for (label, word), weights in found.items()
        if len(weights) >= LEAST_ROWS
    ]
    listed = []
    for label in context.kind.labels:
        own = sorted((one for one in means if one[0] == label and one[2] > 0), key=lambda one: (-one[2], one[1]))
        listed += own[:SHOWN]
    note = f"mean log-odds lost without the word, in at least {LEAST_ROWS} rows that are answered so"
    columns = ("class", "word", "mean weight", "rows")
    return Exhibit("Words that drive each class", "table", columns, tuple(listed), note)
