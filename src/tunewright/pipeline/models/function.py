"""Any function from texts, or columns, to probabilities or labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tunewright.audit import Columns
from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.types import Array
from tunewright.kinds.classify import Classify
from tunewright.pipeline.models.told import LABEL, log_of, plain_task

REMEDY = "give one probability per label and row, in the order of labels, or one label per row"


class Function:
    """A function as a ``Model``.

    function : takes a list of n texts where there is one input column, else columns (column → n values); returns
        probabilities (n, k), rows summing to 1, or n labels
    labels : in the order of the probabilities
    """

    predictor = embed = folder = None
    digest = ""

    def __init__(
        self,
        function: Callable[[Any], Any],
        labels: Sequence[str] | None,
        *,
        text: Sequence[str] = (),
        label: str | None = None,
    ) -> None:
        if labels is None or len(labels) < 2 or len(set(labels)) < len(labels):
            raise TunewrightError("a function does not tell its labels", "pass labels=[…], each once, at least two")
        self._function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.scores = True
        self.kinds = {LABEL: Classify(tuple(labels))}
        self.task = plain_task(text or ("text",), {LABEL: ("classify", tuple(labels))}, label)

    @property
    def about(self) -> Mapping[str, Any]:
        targets = [{"name": LABEL, "kind": "classify", "labels": list(self.kinds[LABEL].labels)}]
        return {"name": self.name, "inputs": self.task.inputs, "targets": targets}

    def answers(self, columns: Columns) -> dict[str, Array]:
        return {target: self.ask(columns, target) for target in self.kinds}

    def ask(self, columns: Columns, target: str) -> Array:
        values = [list(columns[name]) for name in self.task.inputs]
        answers = self._function(values[0] if len(values) == 1 else dict(zip(self.task.inputs, values, strict=True)))
        found = np.asarray(answers)
        if len(found.shape) not in (1, 2) or len(found) != len(values[0]):
            raise self._wrong(f"{len(values[0]):,} rows were given, and its answer has the shape {found.shape}")
        return log_of(self._probabilities(found) if found.ndim == 2 else self._of_labels(found))

    def _probabilities(self, found: Array) -> Array:
        k = self.kinds[LABEL].size
        if found.shape[1] != k or found.dtype.kind not in "fiu":
            raise self._wrong(f"it gives {found.shape[1]} values per row ({found.dtype}), and there are {k} labels")
        wrong = np.flatnonzero(~((found >= 0).all(1) & (np.abs(found.sum(1) - 1) < 0.01)))
        if len(wrong):
            shown = ", ".join(f"{value:.3g}" for value in found[wrong[0]][:5])
            raise self._wrong(f"row {wrong[0]}: {shown}{', …' if k > 5 else ''} are no probabilities that sum to 1")
        return found.astype(np.float64)

    def _of_labels(self, found: Array) -> Array:
        known = {label: at for at, label in enumerate(self.kinds[LABEL].labels)}
        for row, answer in enumerate(found.tolist()):
            if answer not in known:
                raise TunewrightError(
                    f"{self.name}: row {row}: it answers {answer!r:.60}, which is none of the labels",
                    nearest(str(answer), known),
                )
        self.scores = False
        return np.eye(len(known))[[known[answer] for answer in found.tolist()]]

    def _wrong(self, problem: str) -> TunewrightError:
        return TunewrightError(f"{self.name}: {problem}", REMEDY)
