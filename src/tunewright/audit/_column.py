"""One column of groups, measured: its groups, the gap between them, the worst one, and the rates of each label."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tunewright.audit._context import Context
from tunewright.audit._groups import (
    DIFFERENCE,
    MIN_OF_LABEL,
    MIN_ROWS,
    ROWS_DRAWN,
    Grouped,
    Rates,
    around,
    by_group,
    flags,
    interval_of_gap,
    summed,
    too_small,
)
from tunewright.audit._intervals import BOOTSTRAP, WILSON, bias_corrected, bootstrap, wilson
from tunewright.core.types import Array, Exhibit, Finding, Kind

PARITY, ODDS = "demographic_parity_difference", "equalized_odds_difference"
SHOWN = 15


def measure(kind: Kind) -> str:
    """What groups are compared by: the first metric of the kind; of numbers the mean absolute error."""
    return kind.headline[0] if kind.labels else "mae"


class Column:
    """One column of a context.

    values : (m,), the metric of each group; said, true, hits : int64 (m, k), rows of each label and group
    """

    def __init__(self, context: Context, grouped: Grouped) -> None:
        self.kind, self.seed, self.grouped = context.kind, context.seed, grouped
        self.metric, self.small = measure(context.kind), too_small(grouped)
        rows = grouped.known
        self.at, self.decided, self.truth = grouped.at[rows], context.decided[rows], context.truth[rows]
        self.sizes = grouped.sizes
        k = len(self.kind.labels)
        measures: dict[str, Callable[[Array], Any]] = {"value": self.value_of}
        if k:
            said, true = flags(self.decided, k), flags(self.truth, k)
            counted = {"said": said, "true": true, "hits": said & true}
            measures |= {name: partial(summed, one) for name, one in counted.items()}
        found = by_group(measures, self.at)
        self.values = np.array(found["value"], np.float64)
        self.counts = {name: np.array(values, np.int64) for name, values in found.items() if name != "value"}

    def value_of(self, rows: Array) -> float:
        return float(self.kind.metrics(self.decided[rows], self.truth[rows])[self.metric])

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share of rows."""
        return self.metric == "accuracy"

    @property
    def hits(self) -> Array:
        return np.rint(self.values * self.sizes).astype(np.int64)

    @property
    def low_is_good(self) -> bool:
        return not self.kind.labels

    def groups(self) -> list[Finding]:
        """The metric of each group."""
        found = []
        for at, name in enumerate(self.grouped.names):
            rows, value = int(self.sizes[at]), float(self.values[at])
            low, high = self._interval(at)
            note = f"too small to be judged: fewer than {MIN_ROWS} rows" if rows < MIN_ROWS else ""
            source = WILSON if self.is_share else BOOTSTRAP
            of = f"{self.grouped.column}={name}"
            one = Finding("fairness", f"group.{self.metric}", value, low, high, rows, source=source, note=note)
            found.append(replace(one, slice=of))
        return found

    def _interval(self, at: int, level: float = 0.95) -> tuple[float, float]:
        value = float(self.values[at])
        if self.is_share:
            return wilson(float(self.hits[at]), int(self.sizes[at]), level)
        low, high = bias_corrected(value, self._drawn(at), level)
        return min(low, value), max(high, value)

    def _drawn(self, at: int) -> Array:
        rows = np.flatnonzero(self.at == at)
        return bootstrap(lambda drawn: {"value": self.value_of(rows[drawn])}, len(rows), self.seed + at)["value"]

    def gap(self) -> Finding:
        """The largest difference between two groups."""
        value = float(np.ptp(self.values))
        if self.small:
            return self._silent("group_gap", f"groups with fewer than {MIN_ROWS} rows: {self.small}")
        if self.is_share:
            low, high, chance = around(value, self._rates(self.hits[:, None], self.sizes[:, None])[:, 0])
            source = DIFFERENCE
        else:
            drawn = np.stack([self._drawn(at) for at in range(len(self.values))], 1)
            ceiling = 1.0 if self.kind.labels else np.inf
            (low, high), chance = interval_of_gap(value, drawn, self.values, ceiling)
            source = ROWS_DRAWN
        note = f"from {self._told(int(self.values.argmin()))} to {self._told(int(self.values.argmax()))}"
        note = f"{note}; by chance alone {chance:.3f}"
        return self._finding("group_gap", value, low, high, int(self.sizes.sum()), source, note)

    def worst(self) -> Finding:
        """The group that is answered worst, its interval widened for having looked at all."""
        name = f"worst_group.{self.metric}"
        if self.small:
            return self._silent(name, f"groups with fewer than {MIN_ROWS} rows: {self.small}")
        at = int(self.values.argmax() if self.low_is_good else self.values.argmin())
        low, high = self._interval(at, 1 - 0.05 / len(self.values))
        source = f"{WILSON if self.is_share else BOOTSTRAP}; widened for the worst of {len(self.values)} groups"
        note = f"worst group: {self.grouped.names[at]}"
        return self._finding(name, float(self.values[at]), low, high, int(self.sizes[at]), source, note)

    def rates(self) -> Iterator[Finding]:
        """Demographic parity and equalised odds."""
        said, true, hits = (self.counts[name] for name in ("said", "true", "hits"))
        every = np.repeat(self.sizes[:, None], said.shape[1], 1)
        yield self._rate(PARITY, [Rates(said, every)], self._small_groups())
        yield self._rate(ODDS, [Rates(hits, true), Rates(said - hits, every - true)], self._small_labels())

    def _small_groups(self) -> str:
        return f"groups with fewer than {MIN_ROWS} rows: {self.small}" if self.small else ""

    def _small_labels(self) -> str:
        true, every = self.counts["true"], self.sizes[:, None]
        few = np.minimum(true, every - true) < MIN_OF_LABEL
        told = [f"{self.kind.labels[label]} in {self.grouped.names[at]}" for at, label in np.argwhere(few).tolist()]
        more = f" and {len(told) - 3} more" if len(told) > 3 else ""
        return (
            f"labels with or without which a group has fewer than {MIN_OF_LABEL} rows: " + (", ".join(told[:3]) + more)
            if told
            else ""
        )

    def _rate(self, name: str, rates: list[Rates], small: str) -> Finding:
        if small:
            return self._silent(name, small)
        of_labels = np.max([one.differences for one in rates], 0)
        worst = int(of_labels.argmax())
        value = float(of_labels[worst])
        deviations = np.max([self._rates(one.hits, one.rows).max(1) for one in rates], 0)
        low, high, chance = around(value, deviations)
        mean = float(of_labels.mean())
        note = f"largest for {self.kind.labels[worst]}; mean over labels {mean:.3f}; by chance alone {chance:.3f}"
        return self._finding(name, value, low, high, int(self.sizes.sum()), DIFFERENCE, note)

    def _rates(self, hits: Array, rows: Array) -> Array:
        return Rates(hits, rows).deviations(self.seed)

    def _told(self, at: int) -> str:
        return f"{self.grouped.names[at]} ({self.values[at]:.3f})"

    def _finding(self, name: str, value: float, low: float, high: float, n: int, source: str, note: str) -> Finding:
        return Finding("fairness", name, value, low, high, n, slice=self.grouped.column, source=source, note=note)

    def _silent(self, name: str, small: str) -> Finding:
        note = f"too small to be judged: {small}"
        return Finding("fairness", name, None, n=int(self.sizes.sum()), slice=self.grouped.column, note=note)

    def tables(self) -> Iterator[Exhibit]:
        """The groups, as bars; and the rates of each label."""
        column = self.grouped.column
        order = np.argsort(-self.values if self.low_is_good else self.values, kind="stable").tolist()
        bars = tuple((self.grouped.names[at], float(self.values[at]), *self._interval(at)) for at in order)
        note = "bar = value, line = 95 % interval; the group that is answered worst stands first"
        yield Exhibit(f"Groups of {column}", "bars", ("group", self.metric, "low", "high"), bars[:SHOWN], note)
        if self.kind.labels:
            yield self._of_labels()

    def _of_labels(self) -> Exhibit:
        said, true, hits = (self.counts[name] for name in ("said", "true", "hits"))
        every = np.repeat(self.sizes[:, None], said.shape[1], 1)
        rates = [Rates(said, every), Rates(hits, true), Rates(said - hits, every - true)]
        table = np.stack([one.differences for one in rates], 1)
        order = np.argsort(-np.nan_to_num(table).max(1), kind="stable").tolist()
        rows = tuple(
            (
                self.kind.labels[at],
                *(None if np.isnan(one) else float(one) for one in table[at]),
                int(true[:, at].min()),
            )
            for at in order
        )
        columns = ("label", "said", "found", "said wrongly", "rows in the smallest group")
        title = f"How far the groups of {self.grouped.column} lie apart, by label"
        return Exhibit(title, "table", columns, rows, "largest difference between two groups")
