"""Rows with their identity terms swapped, and what a model makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.core.types import Array
from tunewright.data.identity import Swap, Terms

MOST = 2000
"""Swapped rows that the model is asked for; of more, so many are drawn by the seed."""


@dataclass(frozen=True)
class Variant:
    """One row in which all terms of one name were swapped.

    row : its number; name : of the terms, such as ``gender``; inputs : column → the new text; swaps : what was swapped
    """

    row: int
    name: str
    inputs: Mapping[str, Any]
    swaps: tuple[Swap, ...]


@dataclass(frozen=True)
class Effects:
    """What the swaps changed.

    changed : bool (v,), the answer is another one; shift : (v,), by how much: of the probability of the label that was
    answered, of several labels the one that moved most, of a number the number itself
    moved : (v, k), the signed change of each label's probability, or of the number
    """

    variants: tuple[Variant, ...]
    changed: NDArray[np.bool_]
    shift: NDArray[np.float64]
    moved: NDArray[np.float64]
    decided: Array


def variants(context: Context, terms: Mapping[str, Terms]) -> list[Variant]:
    """Every row that holds a term, once for each name of terms that it holds; at most ``MOST``."""
    draws = np.random.default_rng(context.seed)
    shifts = draws.integers(1, 1000, context.rows)
    found = []
    for row in range(context.rows):
        cells = {column: values[row] for column, values in context.inputs.items()}
        for name, of_name in terms.items():
            one = _swapped(row, name, cells, of_name, int(shifts[row]))
            found += [one] if one.swaps else []
    kept = np.sort(draws.permutation(len(found))[:MOST])
    return [found[at] for at in kept.tolist()]


def _swapped(row: int, name: str, cells: Mapping[str, Any], terms: Terms, shift: int) -> Variant:
    inputs, swaps = {}, list[Swap]()
    for column, value in cells.items():
        inputs[column], own = terms.swapped(value, shift) if isinstance(value, str) else (value, [])
        swaps += own
    return Variant(row, name, inputs, tuple(swaps))


def effects(context: Context, asked: list[Variant]) -> Effects:
    """Ask the model for the variants and hold its answers against those for the rows as they are."""
    columns = {column: [one.inputs[column] for one in asked] for column in context.inputs}
    rows = np.array([one.row for one in asked])
    kind, before, after = context.kind, context.logits[rows], context.ask(columns)
    old, new = kind.decide(before), kind.decide(after)
    if not kind.labels:
        moved = (new - old)[:, None].astype(np.float64)
        return Effects(tuple(asked), moved[:, 0] != 0, np.abs(moved[:, 0]), moved, new)
    moved = np.asarray(kind.proba(after) - kind.proba(before), np.float64)
    if old.ndim == 2:
        return Effects(tuple(asked), (old != new).any(1), np.abs(moved).max(1), moved, new)
    return Effects(tuple(asked), old != new, np.abs(moved[np.arange(len(old)), old]), moved, new)
