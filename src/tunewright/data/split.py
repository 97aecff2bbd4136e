"""Cut a part off the rows: stratified, by group or by time; the same part whatever order the file has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.task import Split, Target
from tunewright.data.rows import JOINT, Rows

Indices = NDArray[np.int64]


def split(rows: Rows, share: float, split: Split, seed: int, targets: Sequence[Target] = ()) -> tuple[Indices, Indices]:
    """Positions of the rest and of the part, each ordered by sha256(seed ‖ row).

    Rows with equal inputs form a unit, and units never straddle; by group, all units of a group are one.

    - ``label``: units in the order of their hash, cut per label (multilabel: the rarest label of the row), so that each
      label has its share to within one unit, and all rows together theirs. Numbers are cut without strata.
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
        return _ordered(rows, np.arange(len(rows)), seed, targets), np.zeros(0, np.int64)
    units, hashes = _units(rows, split, seed)
    strata = _strata(rows, units, targets) if split.by == "label" else np.zeros(len(hashes), np.int64)
    sizes = np.bincount(units, minlength=len(hashes))
    if split.by == "time":
        order = np.lexsort((hashes, _first_seen(rows, units, len(hashes))))
        chosen = _latest(sizes, order, share)
    else:
        order = np.lexsort((hashes, strata))
        chosen = _by_share(sizes, order, strata, share)
    chosen = _keep_labels(rows, units, chosen, order, targets)
    part = chosen[units]
    both = (np.flatnonzero(~part), np.flatnonzero(part))
    return _ordered(rows, both[0], seed, targets), _ordered(rows, both[1], seed, targets)


def _hashes(texts: Sequence[str], seed: int) -> NDArray[np.uint64]:
    """The first 8 bytes of sha256(seed ‖ text) of each text."""
    start = hashlib.sha256(f"{seed}{JOINT}".encode())
    out = bytearray()
    for text in texts:
        one = start.copy()
        one.update(text.encode())
        out += one.digest()[:8]
    return np.frombuffer(bytes(out), ">u8").astype(np.uint64)


def _ordered(rows: Rows, index: Indices, seed: int, targets: Sequence[Target]) -> Indices:
    """Positions in the order of their rows' hashes; equal inputs in the order of their labels."""
    texts = rows.keys
    labels = [rows.label_keys(target.name).fill_null("") for target in targets]
    whole = pl.DataFrame([texts, *(one.alias(f"l{at}") for at, one in enumerate(labels))])
    joined = whole.select(pl.concat_str(pl.all(), separator=JOINT)).to_series()
    index = np.asarray(index, np.int64)
    return index[np.argsort(_hashes(joined.gather(index).to_list(), seed), kind="stable")]


def _units(rows: Rows, split: Split, seed: int) -> tuple[Indices, NDArray[np.uint64]]:
    """int64 (n,): the unit of each row; uint64 (units,): the hash of each unit."""
    keys = rows.keys.rank("dense").to_numpy().astype(np.int64) - 1
    if split.by != "group":
        names = rows.keys.unique().sort()
        return keys, _hashes(names.to_list(), seed)
    if rows.groups is None:
        raise TunewrightError("the rows have no groups to cut by", "name the column of groups: --set split.column=…")
    groups = pl.Series(rows.groups).rank("dense").to_numpy().astype(np.int64) - 1
    units = _connected(groups, keys)
    smallest = pl.DataFrame({"unit": units, "key": rows.keys}).group_by("unit").agg(pl.col("key").min()).sort("unit")
    return units, _hashes(smallest["key"].to_list(), seed)


def _connected(groups: Indices, keys: Indices) -> Indices:
    """Numbers from 0 of the sets of rows that groups and equal inputs tie together."""
    label = groups.copy()
    while True:
        for tie in (keys, groups):
            lowest = np.full(tie.max() + 1, np.iinfo(np.int64).max)
            np.minimum.at(lowest, tie, label)
            before, label = label, lowest[tie]
        if np.array_equal(before, label):
            return np.unique(label, return_inverse=True)[1].astype(np.int64)


def _first_seen(rows: Rows, units: Indices, count: int) -> NDArray[np.float64]:
    if rows.times is None:
        raise TunewrightError("the rows have no time to cut by", "name the column of times: --set split.column=…")
    first = np.full(count, np.inf)
    np.minimum.at(first, units, np.array(rows.times))
    return first


def _strata(rows: Rows, units: Indices, targets: Sequence[Target]) -> Indices:
    """int64 (units,): the label by which a unit is cut: its most frequent one, the first by name among equals."""
    target = next((one for one in targets if one.kind in ("classify", "multilabel")), None)
    if target is None:
        return np.zeros(int(units.max()) + 1, np.int64)
    labels = pl.Series(_rarest(rows.targets[target.name]), dtype=pl.String).fill_null("")
    counts = pl.DataFrame({"unit": units, "label": labels}).group_by("unit", "label").len()
    ranked = counts.sort("unit", "len", "label", descending=[False, True, False])
    first = ranked.unique("unit", keep="first", maintain_order=True)
    return first["label"].rank("dense").to_numpy().astype(np.int64)


def _rarest(values: Sequence[str | list[str] | None]) -> list[str | None]:
    """A label per row; of several, the one with the fewest rows (the first by name among equals)."""
    if not any(isinstance(value, list) for value in values):
        return [value for value in values if not isinstance(value, list)]
    counts: dict[str, int] = {}
    for value in values:
        for label in value or ():
            counts[label] = counts.get(label, 0) + 1
    return [min(value, key=lambda label: (counts[label], label)) if value else None for value in values]


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
        if target.kind not in ("classify", "multilabel"):
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
