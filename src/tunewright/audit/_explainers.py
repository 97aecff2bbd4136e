"""What the audit of explanations measures: the model as something to explain, the explainers, and on how many texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from tunewright.audit._context import Context
from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.core.types import Array, Kind
from tunewright.runtime.explainer import Asked, Explainer
from tunewright.runtime.ways import SAMPLES

EXPLAINERS = ("occlusion", "lime", "shap", "ig")
TEXTS = 50
"""Texts that an explainer is measured on at the most, drawn by the seed."""
FEWEST = 5
"""Texts below which nothing is said."""
PIECES = 16
"""Of a text: as many as the service takes unless it is asked for others."""
CHARACTERS = 400_000
"""That the model reads for one explainer at the most (about 20 s of MiniLM): dear ones explain fewer texts."""
DIFFERENT = 0.4
"""Of LIME's variants of 16 pieces: 411 of 500 differ, and hold 0.48 of the text on the average; of fewer, fewer."""

NO_GRADIENTS = "not run, because the model at hand has no gradients"

Way = str | Explainer


@dataclass(frozen=True)
class Judged:
    """The judged target as something that can be explained, asked through the context alone.

    manifest : has ``inputs``, column → modality
    """

    context: Context
    target: str
    manifest: Any

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return {self.target: self.context.kind}

    def logits_of(self, columns: Sequence[Sequence[Any]], targets: Sequence[str] | None = None) -> dict[str, Array]:
        return {self.target: self.context.ask(dict(zip(self.context.inputs, columns, strict=True)))}


def explained(context: Context) -> tuple[Asked, str] | None:
    """The model and the name of the target; None where it gives no scores of new texts."""
    model = context.predictor
    for name, kind in getattr(model, "kinds", {}).items():
        if kind is context.kind and hasattr(model, "logits_of"):
            return model, name
    if model is not None or context.ask is None or not context.scores:
        return None
    judged = Judged(context, "label", SimpleNamespace(inputs=dict.fromkeys(context.inputs, "text")))
    return judged, judged.target


def at_hand(context: Context) -> tuple[dict[str, Way], dict[str, str]]:
    """Name → explainer; and of those that are not at hand, name → what is said."""
    ways: dict[str, Way] = {"occlusion": "occlusion", "lime": "lime"}
    missing = {}
    try:
        from tunewright.audit._shapley import SHAP

        ways["shap"] = SHAP
    except ModuleNotFoundError as error:
        missing["shap"] = f"not run, because {error.name} is not installed"
    try:
        if context.gradients is None:
            raise TunewrightError("", "")
        ways["ig"] = context.gradients(None)
    except MissingExtra as error:
        missing["ig"] = f"not run, because {error.arguments[1]} is not installed"
    except TunewrightError:
        missing["ig"] = NO_GRADIENTS
    return ways, missing


def affordable(way: Way, texts: Mapping[str, Sequence[Any]]) -> int:
    """How many of the texts an explainer may explain; 0 where they are fewer than ``FEWEST``."""
    lengths = [sum(len(str(value or "")) for value in row) for row in zip(*texts.values(), strict=True)]
    each = cost(way) * max(1.0, float(np.mean(lengths)))
    count = min(TEXTS, len(lengths), int(CHARACTERS / each))
    return count if count >= FEWEST else 0


def cost(way: Way) -> float:
    """In variants of a whole text; random ones hold half of it, and equal ones are computed once."""
    if isinstance(way, Explainer):
        return way.cost(PIECES)
    return {"occlusion": PIECES + 1.0, "lime": DIFFERENT * SAMPLES}.get(way, float(SAMPLES))
