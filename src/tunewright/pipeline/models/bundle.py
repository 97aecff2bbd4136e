"""A bundle at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunewright.audit import Columns
from tunewright.core.types import Array
from tunewright.pipeline.tasks import task_of
from tunewright.runtime.predictor import Predictor


class Bundle:
    """A loaded bundle as a ``Model``."""

    scores = True

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.task = task_of(predictor.manifest)
        self.kinds = predictor.kinds
        self.digest = predictor.manifest.digest
        self.folder: Path | None = predictor.folder
        self._seen: tuple[Columns, Array] | None = None

    @property
    def about(self) -> Mapping[str, Any]:
        return vars(self.predictor.manifest)

    @property
    def embed(self) -> Callable[[Columns], Array] | None:
        return self._embed if "embed" in self.predictor.manifest.parts else None

    def _embed(self, columns: Columns) -> Array:
        if self._seen is not None and self._seen[0] is columns:
            return self._seen[1]
        return self.predictor.embed(columns)

    def answers(self, columns: Columns) -> dict[str, Array]:
        if self.embed is None:
            return self.predictor.logits(columns)
        logits, vectors = self.predictor.seen(columns)
        self._seen = columns, vectors  # audits ask for those of the judged rows, too
        return logits

    def ask(self, columns: Columns, target: str) -> Array:
        values = [list(columns[name]) for name in self.predictor.manifest.inputs]
        return self.predictor.logits_of(values, [target])[target]
