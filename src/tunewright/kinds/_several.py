"""Several targets of one task as one kind: their logits side by side, each decided and scored by its own kind.

It stands on the training side alone, so that methods, objectives and the loop see one target as ever; a bundle holds
the targets apart. Values are tuples, one value for each target, None where a row has none of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Kind, Windows
from tunewright.kinds._laid_out import by_row, columns_of

SEVERAL = "several"
"""What stands for a kind's name where the targets of a task are learnt together."""


def named_kind(kind: str) -> str:
    """What messages call a kind by its name.

    >>> named_kind("regress"), named_kind(SEVERAL)
    ("kind 'regress'", 'several targets')
    """
    return "several targets" if kind == SEVERAL else f"kind {kind!r}"


@dataclass(frozen=True)
class Single:
    """One target of a task, with the kind that it has learnt.

    plugin : name of the kind; weight : of its loss and of its score beside those of the other targets
    """

    name: str
    plugin: str
    kind: Kind
    weight: float = 1.0


@dataclass(frozen=True)
class Slot:
    """Where a target stands in arrays of all targets.

    logits, truth : its columns there
    dtype, flat : how its own truth is coded: flat is (n,), otherwise (n, c)
    """

    single: Single
    logits: slice
    truth: slice
    dtype: np.dtype[Any]
    flat: bool

    def known(self, truth: Array) -> NDArray[np.bool_]:
        """bool (n,): the rows that have a truth for the target."""
        return ~np.isnan(truth[:, self.truth.start])

    def own(self, truth: Array) -> Array:
        """Truth of all targets, of rows that have one for this target → in the coding of its kind."""
        columns = truth[:, self.truth].astype(self.dtype)
        return columns[:, 0] if self.flat else columns

    def columns(self, own: Array) -> Array:
        """The target's own coding as columns (n, c)."""
        return own[:, None] if self.flat else own


@dataclass(frozen=True)
class Several:
    """Truth and decided values are float64 (n, c): the columns of each target in turn, NaN where a row has no truth.

    Logits are (n, k), k being the sum over the targets.
    """

    singles: tuple[Single, ...]

    labels: ClassVar[tuple[str, ...]] = ()
    headline: ClassVar[tuple[str, ...]] = ("score",)
    answer: ClassVar[type] = dict

    @classmethod
    def learn(cls, values: Sequence[Any], options: Mapping[str, Any]) -> Self:
        """``options["targets"]`` lists the options of each target."""
        singles = []
        for at, one in enumerate(options["targets"]):
            known = [row[at] for row in values if row[at] is not None]
            kind = plugins.load("kinds", one["kind"]).learn(known, one)
            singles.append(Single(one["name"], one["kind"], kind, one.get("weight", 1.0)))
        return cls(tuple(singles))

    @classmethod
    def load(cls, spec: Mapping[str, Any]) -> Self:
        read = [(one, plugins.load("kinds", one["kind"]).load(one["spec"])) for one in spec["targets"]]
        return cls(tuple(Single(one["name"], one["kind"], kind, one["weight"]) for one, kind in read))

    def spec(self) -> dict[str, Any]:
        keys = ("name", "kind", "weight", "spec")
        told = [(one.name, one.plugin, one.weight, one.kind.spec()) for one in self.singles]
        return {"targets": [dict(zip(keys, values, strict=True)) for values in told]}

    @property
    def closed_form(self) -> str | None:
        """``several`` where each of the kinds has one."""
        return SEVERAL if all(one.kind.closed_form for one in self.singles) else None

    @property
    def size(self) -> int:
        return sum(one.kind.size for one in self.singles)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The targets with their places.

        Raises
        ------
        TunewrightError
            The truth of a kind is no array of numbers with one entry or vector for each row.
        """
        slots, logit, column = [], 0, 0
        for one in self.singles:
            none = one.kind.encode([])
            if none.dtype.kind not in "biuf" or none.ndim > 2:
                raise TunewrightError(
                    f"target {one.name!r}: kind {one.plugin!r} cannot be learnt beside other targets",
                    "fit it in a task of its own",
                )
            width = 1 if none.ndim == 1 else none.shape[1]
            places = slice(logit, logit + one.kind.size), slice(column, column + width)
            slots.append(Slot(one, *places, none.dtype, none.ndim == 1))
            logit, column = places[0].stop, places[1].stop
        return tuple(slots)

    def encode(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Tuples of values → float64 (n, c)."""
        out = np.full((len(values), self.slots[-1].truth.stop), np.nan)
        for at, slot in enumerate(self.slots):
            rows = [row for row, value in enumerate(values) if value[at] is not None]
            coded = slot.single.kind.encode([values[row][at] for row in rows])
            out[rows, slot.truth] = slot.columns(coded)
        return out

    def spread(self, truth: Array, windows: Windows) -> Array:
        return truth[windows.owner]

    def gather(self, logits: Sequence[Array], windows: Windows) -> Array:
        """Each target's logits by its own kind."""
        return np.concatenate(
            [slot.single.kind.gather([one[slot.logits] for one in logits], windows) for slot in self.slots], axis=1
        )

    def calibrate(self, logits: Array, truth: Array) -> Self:
        """Each kind on the rows that have its truth."""
        kinds = [slot.single.kind.calibrate(scores, own) for slot, _, scores, own in self.apart(logits, truth)]
        return replace(self, singles=tuple(replace(a, kind=b) for a, b in zip(self.singles, kinds, strict=True)))

    def apart(self, logits: Array, truth: Array) -> Iterator[tuple[Slot, NDArray[np.bool_], Array, Array]]:
        """For each target: its place, bool (n,) the rows that have a truth, and of these its logits and its truth."""
        for slot in self.slots:
            known = slot.known(truth)
            yield slot, known, logits[known][:, slot.logits], slot.own(truth[known])

    def proba(self, logits: Array) -> Array:
        """float64 (n, k), side by side; of a kind that has none, an error."""
        return np.concatenate([slot.single.kind.proba(logits[:, slot.logits]) for slot in self.slots], axis=1)

    def decide(self, logits: Array) -> NDArray[np.float64]:
        decided = [slot.columns(slot.single.kind.decide(logits[:, slot.logits])) for slot in self.slots]
        return np.concatenate([one.astype(np.float64) for one in decided], axis=1)

    def decode(self, logits: Array, top: int = 0) -> list[dict[str, Any]]:
        """One answer per target and row."""
        by_target = {slot.single.name: slot.single.kind.decode(logits[:, slot.logits], top) for slot in self.slots}
        return by_row(by_target)

    def empty(self, reason: str) -> dict[str, Any]:
        return {one.name: one.kind.empty(reason) for one in self.singles}

    def columns(self, answers: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        kinds = {one.name: one.kind for one in self.singles}
        return columns_of(kinds, {name: [answer[name] for answer in answers] for name in kinds})

    def row_score(self, logits: Array, truth: Array) -> NDArray[np.float64]:
        """Mean over the targets that the row has a truth for, weighted; 0 where it has none at all."""
        total, weight = np.zeros(len(truth)), np.zeros(len(truth))
        for slot, known, scores, own in self.apart(logits, truth):
            total[known] += slot.single.weight * slot.single.kind.row_score(scores, own)
            weight[known] += slot.single.weight
        return total / np.where(weight > 0, weight, 1.0)

    def metrics(self, decided: Array, truth: Array) -> dict[str, float]:
        """Those of each kind under ``TARGET.METRIC``, on the rows that have its truth."""
        found: dict[str, float] = {}
        for slot in self.slots:
            known = slot.known(truth)
            measured = slot.single.kind.metrics(slot.own(decided[known]), slot.own(truth[known]))
            found |= {f"{slot.single.name}.{name}": value for name, value in measured.items()}
        return found
