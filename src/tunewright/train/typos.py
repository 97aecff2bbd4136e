"""What ``fit.typos`` asks of the training rows: some of them once more, with typing errors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.task import Task
from tunewright.data.changes import changed, fits

if TYPE_CHECKING:
    from tunewright.train.examples import Part

WAYS = ("typo", "homophone", "shape")
"""Slips of a hand or of an input method; those that fit the language take turns."""


def mistyped(task: Task, part: Part, language: str, run: Run) -> Part:
    """The rows, and behind them a share ``fit.typos`` of them with typing errors; label, group and weight stay.

    Raises
    ------
    TunewrightError
        There are no typing errors for the language, or no text to make them in.

    Source: Belinkov and Bisk 2018, Synthetic and Natural Noise Both Break Neural Machine Translation.
    """
    if not task.fit.typos:
        return part
    ways = [way for way in WAYS if fits(way, language)]
    if not ways:
        raise TunewrightError(
            f"fit.typos: there are no typing errors for the language of the rows ({language})", "leave it out"
        )
    rows = len(part.truth)
    drawn = np.random.default_rng(task.seed).permutation(rows)[: round(task.fit.typos * rows)].tolist()
    found = {
        row: {
            name: _slipped(values[row], ways[row % len(ways)], task.seed, row) for name, values in part.inputs.items()
        }
        for row in drawn
    }
    kept = [row for row, cells in found.items() if any(cells[name] != part.inputs[name][row] for name in cells)]
    if drawn and not kept:
        raise TunewrightError("fit.typos finds no word in the training rows that it could mistype", "leave it out")
    more = replace(part.take(kept), inputs={name: [found[row][name] for row in kept] for name in part.inputs})
    run.log("typos", say=f"fit.typos: {len(kept):,} of {rows:,} training rows are added with typing errors")
    return part.joined(more)


def _slipped(cell: Any, way: str, seed: int, row: int) -> Any:
    return changed(way, cell, seed, row) if isinstance(cell, str) else cell
