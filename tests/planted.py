"""A model whose reasons are known: logits are a sum of weights over the words of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.core.bundle import Manifest
from tunewright.core.types import Array, Kind
from tunewright.runtime.explain import Explanation, explain
from tunewright.runtime.inputs import as_columns


class Planted:
    """Answers as a loaded bundle does, by a bag of words.

    weights : target → word → one weight per logit; a word that is not listed weighs nothing
    folder : as of a bundle that was not loaded from one
    asked : how many rows each call of ``logits_of`` held
    """

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        weights: Mapping[str, Mapping[str, Sequence[float]]],
        columns: Sequence[str] = ("text",),
    ) -> None:
        targets = [{"name": name, "kind": type(kind).__name__.lower(), "spec": {}} for name, kind in kinds.items()]
        inputs = dict.fromkeys(columns, "text")
        self.manifest = Manifest("planted", inputs, {}, targets, {}, {}, {}, {}, {}, {}, digest="sha256:planted")
        self.kinds = dict(kinds)
        self.weights = weights
        self.folder: Path | None = None
        self.asked: list[int] = []

    def logits_of(self, columns: Sequence[Sequence[Any]], targets: Sequence[str] | None = None) -> dict[str, Array]:
        self.asked.append(len(columns[0]))
        rows = [" ".join(row) for row in zip(*columns, strict=True)]
        return {name: np.array([self._sum(name, row) for row in rows]) for name in targets or self.kinds}

    def _sum(self, target: str, row: str) -> Array:
        known = self.weights[target]
        found = [known[word] for word in re.findall(r"\w+", row.lower()) if word in known]
        return np.sum([np.zeros(self.kinds[target].size), *map(np.asarray, found)], axis=0)

    def as_read(self, columns: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        return columns

    def logits(self, inputs: Any) -> dict[str, Array]:
        return self.logits_of(as_columns(inputs, list(self.manifest.inputs)))

    def answers(
        self, inputs: Any, top: int = 0, targets: Sequence[str] | None = None, error: float | None = None
    ) -> dict[str, list[Any]]:
        found = self.logits_of(as_columns(inputs, list(self.manifest.inputs)), targets)
        return {name: self.kinds[name].decode(logits, top) for name, logits in found.items()}

    def embed(self, inputs: Any) -> Array:
        raise NotImplementedError("a bag of words has no vectors")

    def explain(self, inputs: Any, method: str = "occlusion", **options: Any) -> list[Explanation]:
        return explain(self, inputs, method, **options)
