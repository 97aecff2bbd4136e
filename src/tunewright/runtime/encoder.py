"""The encoder: a modality, and the graph that makes states of its windows. Several bundles may stand on one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Modality, Windows
from tunewright.runtime.batches import CALL, by_cost
from tunewright.runtime.graphs import Graph
from tunewright.runtime.parallel import in_parallel

COST_BUDGET = 512
"""Cost of one batch once padded. Measured on MiniLM, fp32 and int8: 256 to 1,024 tokens differ by 2 % at the most."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """Makes states of raw values. Safe to call from several threads."""

    modality: Modality
    graph: Graph

    def run(
        self, windows: Windows, heads: Mapping[Graph, NDArray[np.bool_] | None], batches: Iterable[Array] | None = None
    ) -> dict[Graph, list[Array]]:
        """Head → one array per window, without the padding of its batch; one pass, however many heads there are.

        Parameters
        ----------
        heads : graphs that take states and mask → bool (m,), the windows that each is asked for; None = all of them.
            The others have an empty array.
        batches : indices of the windows that run together; default: of like length, under the cost budget
        """
        nothing = np.zeros(0, np.float32)
        out: dict[Graph, list[Array]] = {head: [nothing] * len(windows) for head in heads}
        plan = list(by_cost(windows.cost, COST_BUDGET, CALL) if batches is None else batches)
        threads = self.graph.threads if len(plan) > 1 else 1
        graph = self.graph if threads == 1 else self.graph.single

        def compute(index: Array) -> None:
            encoded = graph(self.modality.batch(windows, index))
            lengths = encoded["mask"].sum(1).astype(np.int64)
            for head, wanted in heads.items():
                places = None if wanted is None else np.flatnonzero(wanted[index])
                _into(out[head], head, encoded, lengths, index, places)

        in_parallel(compute, plan, threads)
        return out


def _into(
    out: list[Array],
    head: Graph,
    encoded: Mapping[str, Array],
    lengths: NDArray[np.int64],
    index: Array,
    places: NDArray[np.int64] | None,
) -> None:
    """Ask a head for the windows at these places of a batch (None = all), without the padding that the others need."""
    if places is not None and len(places) < len(index):
        if not len(places):
            return
        lengths, index = lengths[places], index[places]
        width = max(1, int(lengths.max()))
        encoded = {name: np.ascontiguousarray(values[places, :width]) for name, values in encoded.items()}
    values = head(encoded)["logits"]
    per_step = values.ndim == 3
    for at, window in enumerate(index.tolist()):
        out[window] = values[at, : lengths[at]] if per_step else values[at]
