"""The encoder: a modality, and the graph that makes states of its windows. Several bundles may stand on one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.core.types import Array, Modality, Windows
from tunewright.runtime.batches import CALL, by_cost
from tunewright.runtime.encoded import Encoded
from tunewright.runtime.fastest import Encodes
from tunewright.runtime.graphs import Graph
from tunewright.runtime.parallel import in_parallel
from tunewright.runtime.updates import Updated

COST_BUDGET = 512
"""Cost of one batch once padded. Measured on MiniLM, fp32 and int8: 256 to 1,024 tokens differ by 2 % at the most."""


Wanted = NDArray[np.bool_] | None
"""bool (m,): which windows are asked for; None = all of them."""
Upper = Graph | Updated | None
"""The part of an encoder that states go through above the shared one, where it is in two parts."""


@dataclass(frozen=True)
class Head:
    """A graph that makes logits, or a vector, of states.

    upper : the part of the encoder that the states go through before, where one is this bundle's own
    """

    graph: Graph
    upper: Upper = None


@dataclass(frozen=True, eq=False)
class Encoder:
    """Makes states of raw values. Safe to call from several threads.

    graph : the whole encoder, or the lower part of it that bundles share; a graph, or native code in its place
    """

    modality: Modality
    graph: Encodes

    def run(
        self, windows: Windows, heads: Mapping[Head, Wanted], batches: Iterable[Array] | None = None
    ) -> dict[Head, list[Array]]:
        """Head → one array per window, without the padding of its batch; one pass, however many heads there are.

        Parameters
        ----------
        heads : head → bool (m,), the windows that it is asked for; None = all of them. The others have an empty array.
        batches : indices of the windows that run together; default: of like length, under the cost budget
        """
        nothing = np.zeros(0, np.float32)
        out: dict[Head, list[Array]] = {head: [nothing] * len(windows) for head in heads}
        plan = list(by_cost(windows.cost, COST_BUDGET, CALL) if batches is None else batches)
        threads = self.graph.threads if len(plan) > 1 else 1
        graph = self.graph if threads == 1 else self.graph.single
        stages = [_stage(upper, own, single=threads > 1) for upper, own in _by_upper(heads).items()]

        def compute(index: Array) -> None:
            encoded = Encoded(graph(self.modality.batch(windows, index)), index)
            for upper, wanted, own in stages:
                states = encoded.only(wanted).above(upper)
                for head, of_head in own.items():
                    states.only(of_head).into(out[head], head.graph)

        in_parallel(compute, plan, threads)
        return out


Stage = tuple[Upper, Wanted, Mapping[Head, Wanted]]
"""The upper part of an encoder, the windows that it is run on, and what is asked of the heads above it."""


def _by_upper(heads: Mapping[Head, Wanted]) -> dict[Upper, dict[Head, Wanted]]:
    out: dict[Upper, dict[Head, Wanted]] = {}
    for head, wanted in heads.items():
        out.setdefault(head.upper, {})[head] = wanted
    return out


def _stage(upper: Upper, heads: Mapping[Head, Wanted], *, single: bool) -> Stage:
    """single : batches run side by side, each in one thread"""
    masks = [one for one in heads.values() if one is not None]
    wanted = np.logical_or.reduce(masks) if len(masks) == len(heads) else None
    return upper.single if upper is not None and single else upper, wanted, heads
