"""Ways to explain by name, and what else takes gradients: what needs libraries of an extra is imported only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.core.errors import TunewrightError, nearest
from tunewright.pipeline.extras import needing, training
from tunewright.runtime.explainer import Explainer
from tunewright.runtime.ways import WAYS

METHODS = (*WAYS, "shap", "ig")


def explainer(method: str, folder: Path) -> str | Explainer:
    """What ``Predictor.explain`` takes for a method's name.

    Raises
    ------
    TunewrightError
        There is no such method, its library is not installed, or the bundle has no gradients.
    """
    if method not in METHODS:
        raise TunewrightError(f"there is no way to explain named {method!r}", nearest(method, METHODS))
    return {"shap": shapley, "ig": lambda: by_gradients(folder)}.get(method, lambda: method)()


def shapley() -> Explainer:
    """Shapley values."""
    with needing("`explain --method shap`", "audit"):
        from tunewright.audit._shapley import SHAP
    return SHAP


def by_gradients(folder: Path, seed: int | None = None) -> Explainer:
    """Integrated gradients of a bundle's network; with a seed, of its weights drawn anew."""
    with training("`explain --method ig`"):
        from tunewright.train import rebuild  # noqa: F401 - tells which extra is missing
    with needing("`explain --method ig`", "audit"):
        from tunewright.train.integrated import integrated
    return integrated(folder, seed)


def by_shifts(folder: Path, target: str, columns: Any, decided: Any, lengths: Any) -> Any:
    """What a bundle answers where its rows' embeddings are shifted; see ``train.shifts``."""
    with training("the audit `gradient`"):
        from tunewright.train.shifts import shifter
    return shifter(folder, target)(columns, decided, lengths)
