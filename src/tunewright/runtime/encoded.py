"""What an encoder gave for one batch of windows, and what graphs above it make of some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array
from tunewright.runtime.graphs import Graph
from tunewright.runtime.updates import Updated


@dataclass(frozen=True)
class Encoded:
    """States of windows, padded to the longest of them.

    arrays : ``states`` (b, t, d), ``mask`` (b, t)
    index : int64 (b,), which windows these are
    """

    arrays: Mapping[str, Array]
    index: Array

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """int64 (b,): steps of each window."""
        return np.asarray(self.arrays["mask"].sum(1), np.int64)

    def __len__(self) -> int:
        return len(self.index)

    def only(self, wanted: NDArray[np.bool_] | None) -> Encoded:
        """Those of the windows that are wanted (bool (m,); None = all), without the padding that the others need."""
        if wanted is None:
            return self
        places = np.flatnonzero(wanted[self.index])
        if len(places) == len(self):
            return self
        lengths = self.lengths[places]
        width = max(1, int(lengths.max(initial=0)))
        arrays = {name: np.ascontiguousarray(values[places, :width]) for name, values in self.arrays.items()}
        return Encoded(arrays, self.index[places])

    def above(self, upper: Graph | Updated | None) -> Encoded:
        """The states that the upper part of an encoder makes of these; where there is none, these."""
        if upper is None or not len(self):
            return self
        mask = self.arrays["mask"]
        states = upper({"lower": self.arrays["states"], "mask": mask})["states"]
        return Encoded({"states": states, "mask": mask}, self.index)

    def into(self, out: list[Array], head: Graph) -> None:
        """Put what a head makes of each window in its place, without padding."""
        if not len(self):
            return
        values = head(self.arrays)["logits"]
        per_step = values.ndim == 3
        for at, window in enumerate(self.index.tolist()):
            out[window] = values[at, : self.lengths[at]] if per_step else values[at]
