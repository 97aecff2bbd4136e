"""The graphs of one bundle, put together: an encoder, which other bundles may stand on too, and its own heads above."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunewright.core.types import Array, Windows
from tunewright.runtime.encoder import Encoder, Head, Upper
from tunewright.runtime.graphs import Graph


@dataclass(frozen=True)
class Network:
    """What a bundle computes with. Safe to call from several threads.

    heads : part → graph that takes the states of the encoder, or of ``upper`` where there is one
    """

    encoder: Encoder
    heads: Mapping[str, Graph]
    upper: Upper = None

    def named(self, names: Iterable[str]) -> dict[str, Head]:
        """Parts by their names, each with what its states go through before."""
        return {name: Head(self.heads[name], self.upper) for name in names}

    def run(
        self, windows: Windows, names: Sequence[str], batches: Iterable[Array] | None = None
    ) -> dict[str, list[Array]]:
        """Name of a head → one array per window, without the padding of its batch.

        batches : indices of the windows that run together; default: of like length, under the cost budget
        """
        own = self.named(names)
        found = self.encoder.run(windows, dict.fromkeys(own.values()), batches)
        return {name: found[head] for name, head in own.items()}
