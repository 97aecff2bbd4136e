"""Folds for cross-validation: what is judged in a fold was not learnt from in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Split, Target
from tunewright.data.rows import Rows
from tunewright.data.units import STRATIFIED, Indices, first_seen, ordered, strata_of, units_of


@dataclass(frozen=True)
class Fold:
    """Positions of the rows that one fit learns from, its validation part included, and of those it is judged on."""

    learn: Indices
    judge: Indices


def folds(rows: Rows, count: int, split: Split, seed: int, targets: Sequence[Target] = ()) -> list[Fold]:
    """Folds by the rules by which parts are cut; the same whatever order the file has.

    Rows with equal inputs form a unit, and units never straddle; by group, all units of a group are one.

    - ``label``: of each label (multilabel: the rarest label of the row) every fold has as many rows as any other, to
      within one unit. Each row is judged in one fold.
    - ``group``: the largest groups first, each to the fold with the fewest rows. Each row is judged in one fold.
    - ``time``: forward chaining. The rows are cut into ``count`` + 1 stretches of time; each but the first is judged
      by what was learnt before it begins. The rows of the first stretch are judged in no fold.

    count : how many, two at least

    Raises
    ------
    TunewrightError
        A label has too few rows, there are too few groups or different times, or the rows have no such column.

    Source: Stone 1974, Cross-Validatory Choice and Assessment of Statistical Predictions (JRSS B 36); forward
    chaining: Hyndman and Athanasopoulos 2021, Forecasting: Principles and Practice, section 5.10.
    """
    units, hashes = units_of(rows, split, seed)
    if split.by == "time":
        pairs = _chained(rows, units, len(hashes), count)
    else:
        of_unit = _dealt(rows, units, hashes, count, split, targets)
        pairs = [(of_unit[units] != at, of_unit[units] == at) for at in range(count)]

    def found(chosen: NDArray[np.bool_]) -> Indices:
        return ordered(rows, np.flatnonzero(chosen), seed, targets)

    return [Fold(found(learn), found(judge)) for learn, judge in pairs]


def _dealt(
    rows: Rows, units: Indices, hashes: NDArray[np.uint64], count: int, split: Split, targets: Sequence[Target]
) -> Indices:
    """int64 (units,): the fold in which each unit is judged."""
    sizes = np.bincount(units, minlength=len(hashes))
    if split.by == "group":
        if len(hashes) < count:
            raise TunewrightError(
                f"split.folds = {count}, but there are {len(hashes)} groups (those with an equal input count as one)",
                f"set split.folds to {len(hashes)} or fewer" if len(hashes) > 1 else "name another split.column",
            )
        return _to_the_emptiest(sizes, [np.lexsort((hashes, -sizes))], count)
    _enough_of_each(rows, units, count, targets)
    strata = strata_of(rows, units, targets)
    order = np.lexsort((hashes, strata))
    return _to_the_emptiest(sizes, np.split(order, np.flatnonzero(np.diff(strata[order])) + 1), count)


def _enough_of_each(rows: Rows, units: Indices, count: int, targets: Sequence[Target]) -> None:
    if not any(target.kind in STRATIFIED for target in targets) and units.max() + 1 < count:
        different = int(units.max()) + 1
        problem = f"split.folds = {count}, but the rows have {different} different inputs"
        raise TunewrightError(problem, "add rows, or set fewer folds")
    for target in targets:
        if target.kind not in STRATIFIED:
            continue
        of_label: dict[str, set[int]] = {}
        for unit, value in zip(units.tolist(), rows.targets[target.name], strict=True):
            for label in value if isinstance(value, list) else [value]:
                if label is not None:
                    of_label.setdefault(label, set()).add(unit)
        rarest, has = min(((label, len(own)) for label, own in of_label.items()), key=lambda one: (one[1], one[0]))
        if has < count:
            fewer = f"set split.folds to {has} or fewer, " if has > 1 else ""
            raise TunewrightError(
                f"split.folds = {count}, but label {rarest!r} has {has} different inputs: a fold would be without it",
                f"{fewer}add rows of it, or merge it with another label",
            )


def _to_the_emptiest(sizes: Indices, strata: Iterable[Indices], count: int) -> Indices:
    """Each unit, stratum by stratum, to the fold that has the fewest rows of the stratum; of several, of all rows."""
    of_unit = np.zeros(len(sizes), np.int64)
    all_rows = [0] * count
    for members in strata:
        own = [0] * count
        for unit in members.tolist():
            fold = min(range(count), key=lambda at: (own[at], all_rows[at]))
            of_unit[unit] = fold
            own[fold] += int(sizes[unit])
            all_rows[fold] += int(sizes[unit])
    return of_unit


def _chained(
    rows: Rows, units: Indices, unit_count: int, count: int
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """For each fold, bool (n,): the rows that are learnt from, and those that are judged.

    A unit belongs to the stretch in which it was first seen. Its later rows are not learnt from where they are as late
    as what is judged.
    """
    times, at = np.unique(first_seen(rows, units, unit_count)[units], return_inverse=True)
    if len(times) <= count:
        raise TunewrightError(
            f"split.folds = {count} by time needs {count + 1} different times, and the rows have {len(times)}",
            f"set split.folds to {len(times) - 1} or fewer" if len(times) > 2 else "name another split.column",
        )
    cuts = _cuts(np.cumsum(np.bincount(at)), count)
    stretch = np.searchsorted(cuts, at, side="right")
    own = np.array(rows.times)
    return [((stretch < one) & (own < times[cuts[one - 1]]), stretch == one) for one in range(1, count + 1)]


def _cuts(sums: Indices, count: int) -> Indices:
    """The first times of all stretches but the first, so that these have as equal numbers of rows as can be.

    sums : rows up to each time
    """
    cuts: list[int] = []
    for one in range(1, count + 1):
        low, high = (cuts[-1] if cuts else 0) + 1, len(sums) - (count - one)
        wanted = sums[-1] * one / (count + 1)
        cuts.append(low + int(np.argmin(np.abs(sums[low - 1 : high - 1] - wanted))))
    return np.array(cuts)
