"""Units: rows that no cut parts, since their inputs are equal or their group is one; their order, times and strata."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Split, Target
from tunewright.data.rows import JOINT, Rows

Indices = NDArray[np.int64]
STRATIFIED = ("classify", "multilabel")
"""Kinds whose labels parts are cut by; of several targets the first of such a kind."""


def units_of(rows: Rows, split: Split, seed: int) -> tuple[Indices, NDArray[np.uint64]]:
    """int64 (n,): the unit of each row; uint64 (units,): the hash of each unit."""
    keys = rows.keys.rank("dense").to_numpy().astype(np.int64) - 1
    if split.by != "group":
        names = rows.keys.unique().sort()
        return keys, hashes_of(names.to_list(), seed)
    if rows.groups is None:
        raise TunewrightError("the rows have no groups to cut by", "name the column of groups: --set split.column=…")
    groups = pl.Series(rows.groups).rank("dense").to_numpy().astype(np.int64) - 1
    units = _connected(groups, keys)
    smallest = pl.DataFrame({"unit": units, "key": rows.keys}).group_by("unit").agg(pl.col("key").min()).sort("unit")
    return units, hashes_of(smallest["key"].to_list(), seed)


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


def strata_of(rows: Rows, units: Indices, targets: Sequence[Target]) -> Indices:
    """int64 (units,): the label by which a unit is cut: its most frequent one, the first by name among equals."""
    target = next((one for one in targets if one.kind in STRATIFIED), None)
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


def first_seen(rows: Rows, units: Indices, count: int) -> NDArray[np.float64]:
    """float64 (units,): the earliest time of each unit's rows, in seconds."""
    if rows.times is None:
        raise TunewrightError("the rows have no time to cut by", "name the column of times: --set split.column=…")
    first = np.full(count, np.inf)
    np.minimum.at(first, units, np.array(rows.times))
    return first


def ordered(rows: Rows, index: Indices, seed: int, targets: Sequence[Target]) -> Indices:
    """Positions in the order of their rows' hashes; equal inputs in the order of their labels."""
    texts = rows.keys
    labels = [rows.label_keys(target.name).fill_null("") for target in targets]
    whole = pl.DataFrame([texts, *(one.alias(f"l{at}") for at, one in enumerate(labels))])
    joined = whole.select(pl.concat_str(pl.all(), separator=JOINT)).to_series()
    index = np.asarray(index, np.int64)
    return index[np.argsort(hashes_of(joined.gather(index).to_list(), seed), kind="stable")]


def hashes_of(texts: Sequence[str], seed: int) -> NDArray[np.uint64]:
    """The first 8 bytes of sha256(seed ‖ text) of each text."""
    start = hashlib.sha256(f"{seed}{JOINT}".encode())
    out = bytearray()
    for text in texts:
        one = start.copy()
        one.update(text.encode())
        out += one.digest()[:8]
    return np.frombuffer(bytes(out), ">u8").astype(np.uint64)
