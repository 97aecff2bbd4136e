"""Closed forms of several targets: each fitted on the rows that have its truth, the weights one below the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core.types import Array, Kind
from tunewright.kinds._several import Several, Slot

if TYPE_CHECKING:
    from tunewright.methods._strength import Solver, Weights


@dataclass(frozen=True)
class SideBySide:
    """A solver for several targets, whose strength is a mapping: target → its own."""

    pairs: tuple[tuple[Slot, Solver], ...]

    def __call__(self, features: Any, truth: Array, size: int, strength: Mapping[str, float]) -> Weights:
        weights = []
        for slot, solver in self.pairs:
            known = slot.known(truth)
            own = strength[slot.single.name]
            weights.append(solver(features[known], slot.own(truth[known]), slot.single.kind.size, own))
        return np.concatenate([one[0] for one in weights]), np.concatenate([one[1] for one in weights])

    def strengths(
        self, features: Any, truth: Array, choose: Callable[[Any, Array, Kind, Solver], tuple[float, dict[str, float]]]
    ) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Target → its strength, and its cross-validated scores; ``choose`` finds those of one."""
        found = {}
        for slot, solver in self.pairs:
            known = slot.known(truth)
            found[slot.single.name] = choose(features[known], slot.own(truth[known]), slot.single.kind, solver)
        return {name: one[0] for name, one in found.items()}, {name: one[1] for name, one in found.items()}


def solver_of(kind: Kind, solvers: Mapping[str, Solver]) -> Any:
    """The solver of a kind, or of several targets at once; None where there is none."""
    if not isinstance(kind, Several):
        return solvers.get(kind.closed_form or "")
    if kind.closed_form is None:
        return None
    return SideBySide(tuple((slot, solvers[slot.single.kind.closed_form or ""]) for slot in kind.slots))
