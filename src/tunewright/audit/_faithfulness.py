"""How far an explanation is true: what happens when the pieces that it names are taken away, or put in, first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._intervals import bias_corrected, bootstrap
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Exhibit
from tunewright.runtime.explain import MOST, Explanation, as_read, explain, target_of
from tunewright.runtime.explainer import Asked, Explainer
from tunewright.runtime.inputs import as_columns
from tunewright.runtime.pieces import Cut, cut

STEPS = 10
"""Steps of a curve, fewer where a text has fewer pieces."""
MEASURES = ("deletion", "insertion", "sufficiency")
LOWER_IS_BETTER = ("deletion", "sufficiency")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Faithful:
    """What an explainer's order of pieces reached, and what an order by chance did. All of n texts.

    own, chance : float64 (n, 3), the columns of ``MEASURES``
    told : the n explanations
    """

    own: Floats
    chance: Floats
    told: tuple[Explanation, ...] = ()

    @property
    def gain(self) -> Floats:
        """float64 (n, 3): how much better than by chance; above 0 is better, whatever the measure."""
        signs = np.array([1.0 if one in LOWER_IS_BETTER else -1.0 for one in MEASURES])
        return np.asarray((self.chance - self.own) * signs)

    @property
    def both(self) -> Floats:
        """float64 (n,): area under insertion minus area under deletion, 1 at best."""
        return self.own[:, 1] - self.own[:, 0]


def mean_with_interval(values: Array, seed: int) -> tuple[float, float, float]:
    """The mean over texts and its 95 % bootstrap interval."""
    drawn = bootstrap(lambda rows: {"mean": float(values[rows].mean())}, len(values), seed)["mean"]
    value = float(values.mean())
    low, high = bias_corrected(value, drawn)
    return value, min(low, value), max(high, value)


def faithfulness(
    predictor: Asked,
    texts: Any,
    method: str | Explainer,
    *,
    target: str | None = None,
    k: int = 3,
    most: int = MOST,
    seed: int = 0,
) -> Faithful:
    """Deletion, insertion and sufficiency of the explanations of n texts, beside those of a random order.

    The label is the predicted one (of several, the likeliest of them), p its probability. Pieces are ordered by weight,
    the strongest for the label first. Deletion is the area under p while they are taken out, the first first (lower is
    better); insertion the area while they are put in (higher is better); sufficiency is p of the whole text minus p of
    the ``k`` first pieces alone (lower is better).

    Raises
    ------
    TunewrightError
        The target has no labels, or a text has no word.

    Source: Petsiuk, Das and Saenko 2018 (RISE) for deletion and insertion; DeYoung et al. 2020 (ERASER) for
    sufficiency.
    """
    name = target_of(predictor.kinds, target)
    if not predictor.kinds[name].labels:
        raise TunewrightError(f"target {name!r} has no labels", "measure explanations of classify or multilabel")
    columns = as_read(predictor, as_columns(texts, list(predictor.manifest.inputs)))
    draw = np.random.default_rng(seed)
    inputs, found, told = predictor.manifest.inputs, [], []
    for values in zip(*columns, strict=True):
        row = dict(zip(inputs, values, strict=True))
        labels = explain(predictor, [row], method, target=name, most=most, seed=seed)
        told.append(max(labels, key=lambda one: one.score))
        found.append(_of_text(predictor, told[-1], cut(inputs, values, most), k, draw))
    both = np.array(found, np.float64).reshape(-1, 2, len(MEASURES))
    return Faithful(both[:, 0], both[:, 1], tuple(told))


def verdict(found: Mapping[str, Faithful], seed: int) -> str:
    """Which explainer to believe, by the paired difference on the same texts."""
    common = min(len(one.own) for one in found.values())
    both = {way: one.both[:common] for way, one in found.items()}
    best, *others = sorted(found, key=lambda way: -float(both[way].mean()))
    _, chance, _ = mean_with_interval(found[best].gain[:, 0] + found[best].gain[:, 1], seed)
    if chance <= 0:
        return "no explainer is better than chance here: believe none"
    alike = [way for way in others if mean_with_interval(both[best] - both[way], seed)[1] <= 0]
    if not alike:
        return f"believe {best}: it is more faithful than {', '.join(others)}" if others else f"believe {best}"
    return f"believe {best} or {', '.join(alike)}: these texts cannot tell them apart"


def areas(found: Mapping[str, Faithful]) -> Exhibit:
    """The mean measures of each explainer, and those of all random orders."""
    measured: dict[str, Any] = {way: one.own for way, one in found.items()}
    measured["random order"] = np.concatenate([one.chance for one in found.values()])
    rows = tuple((way, *(float(value) for value in values.mean(0)), len(values)) for way, values in measured.items())
    note = f"lower is better for {' and '.join(LOWER_IS_BETTER)}, higher for insertion"
    return Exhibit("Means over texts", "table", ("explainer", *MEASURES, "texts"), rows, note)


def _of_text(predictor: Asked, told: Explanation, row: Cut, k: int, draw: np.random.Generator) -> list[list[float]]:
    """Measures by the explainer's order, and by a random one."""
    target, kind = told.target, predictor.kinds[told.target]
    weights = np.array([piece.weight for piece in told.pieces])
    orders = np.argsort(-weights, kind="stable"), draw.permutation(len(weights))
    kept = np.concatenate([_curves(order, k) for order in orders])
    logits = predictor.logits_of(row.without(kept), [target])[target]
    p = kind.proba(logits)[:, kind.labels.index(told.label or "")]
    return [_measures(one) for one in np.split(p, 2)]


def _curves(order: Array, k: int) -> NDArray[np.bool_]:
    """bool (2 s + 1, p): what is kept while the first are taken out, while they are put in, and the ``k`` first."""
    pieces = len(order)
    rank = np.empty(pieces, np.int64)
    rank[order] = np.arange(pieces)
    counts = np.round(np.linspace(0, pieces, min(pieces, STEPS) + 1))[:, None]
    return np.concatenate([rank >= counts, rank < counts, rank[None] < k])


def _measures(p: Floats) -> list[float]:
    steps = len(p) // 2
    deletion, insertion = p[:steps], p[steps:-1]
    return [float((one[1:] + one[:-1]).mean() / 2) for one in (deletion, insertion)] + [float(deletion[0] - p[-1])]
