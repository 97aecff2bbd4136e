"""Cut a part off the rows: stratified, by group or by time; the same part whatever order the file has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunewright.core.sections import Split, Target
from tunewright.data.rows import Rows
from tunewright.data.units import STRATIFIED as STRATIFIED
from tunewright.data.units import Indices, first_seen, ordered, strata_of, units_of


def split(rows: Rows, share: float, split: Split, seed: int, targets: Sequence[Target] = ()) -> tuple[Indices, Indices]:
    """Positions of the rest and of the part, each ordered by sha256(seed ‖ row).

    Rows with equal inputs form a unit, and units never straddle; by group, all units of a group are one.

    - ``label``: units in the order of their hash, cut per label (multilabel: the rarest label of the row), so that each
      label has its share to within one unit, and all rows together theirs. Numbers are cut without strata; of several
      targets the first one with labels counts.
    - ``group``: groups in the order of their hash, until the share is met as nearly as it can be.
    - ``time``: the units that were first seen last form the part; a text that was seen before the cut stays in the
      rest.

    However it is cut, every label that occurs keeps a row in the rest: otherwise nothing could be learnt about it.

    share : of the rows, between 0 and 1

    Raises
    ------
    TunewrightError
        The rows do not have the group or time that ``split`` asks for.
    """
    if not 0 < share < 1 or not len(rows):
        return ordered(rows, np.arange(len(rows)), seed, targets), np.zeros(0, np.int64)
    units, hashes = units_of(rows, split, seed)
    strata = strata_of(rows, units, targets) if split.by == "label" else np.zeros(len(hashes), np.int64)
    sizes = np.bincount(units, minlength=len(hashes))
    if split.by == "time":
        order = np.lexsort((hashes, first_seen(rows, units, len(hashes))))
        chosen = _latest(sizes, order, share)
    else:
        order = np.lexsort((hashes, strata))
        chosen = _by_share(sizes, order, strata, share)
    chosen = _keep_labels(rows, units, chosen, order, targets)
    part = chosen[units]
    both = (np.flatnonzero(~part), np.flatnonzero(part))
    return ordered(rows, both[0], seed, targets), ordered(rows, both[1], seed, targets)


def _by_share(sizes: Indices, order: Indices, strata: Indices, share: float) -> NDArray[np.bool_]:
    """bool (units,): those that form the part.

    The strata are gone through one after the other, and each takes what brings the sum of all so far next to its share:
    rounding errors do not add up, and none is further from its own share than one row (or one unit, where those are
    larger).
    """
    chosen = np.zeros(len(sizes), bool)
    seen = taken = 0
    for members in np.split(order, np.flatnonzero(np.diff(strata[order])) + 1):
        rows = int(sizes[members].sum())
        seen += rows
        want = min(int(seen * share + 0.5) - taken, int(np.ceil(rows * share)))
        got = 0
        for unit in members[:-1].tolist():  # the last one stays: a label needs a row to learn from
            size = int(sizes[unit])
            if got + size <= want or (got + size) - want < want - got:
                chosen[unit] = True
                got += size
            if got >= want:
                break
        taken += got
    return chosen if chosen.any() else _one(order, strata)


def _one(order: Indices, strata: Indices) -> NDArray[np.bool_]:
    """Where the share rounds to nothing: the first unit of the stratum that has most of them, if it has two."""
    chosen = np.zeros(len(order), bool)
    counts = np.bincount(strata)
    if counts.max() > 1:
        chosen[order[np.argmax(strata[order] == counts.argmax())]] = True
    return chosen


def _latest(sizes: Indices, order: Indices, share: float) -> NDArray[np.bool_]:
    """bool (units,): the last ones of ``order`` whose rows come nearest to the share."""
    chosen = np.zeros(len(sizes), bool)
    if len(order) < 2:
        return chosen
    want = int(sizes.sum() * share + 0.5)
    sums = np.cumsum(sizes[order][::-1])[:-1]
    chosen[order[::-1][: int(np.argmin(np.abs(sums - want))) + 1]] = want > 0
    return chosen


def _keep_labels(
    rows: Rows, units: Indices, chosen: NDArray[np.bool_], order: Indices, targets: Sequence[Target]
) -> NDArray[np.bool_]:
    """Move units back until every label has a row in the rest; the first ones in order go first."""
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    chosen = chosen.copy()
    for target in targets:
        if target.kind not in STRATIFIED:
            continue
        of_row = [value if isinstance(value, list) else [value] for value in rows.targets[target.name]]
        safe = {label for row in np.flatnonzero(~chosen[units]).tolist() for label in of_row[row] or ()}
        held = np.flatnonzero(chosen[units])
        for row in held[np.argsort(rank[units[held]], kind="stable")].tolist():
            if chosen[units[row]] and any(label is not None and label not in safe for label in of_row[row] or ()):
                chosen[units[row]] = False
                moved = np.flatnonzero(units == units[row]).tolist()
                safe.update(label for one in moved for label in of_row[one] or ())
    return chosen
