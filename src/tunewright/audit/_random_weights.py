"""Whether an explainer looks at what was learnt: how like its explanations of a network with random weights are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._explainers import PIECES, Way
from tunewright.audit._faithfulness import mean_with_interval
from tunewright.audit._intervals import BOOTSTRAP
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Exhibit, Finding
from tunewright.kinds.regress import rank_correlation
from tunewright.runtime.explain import explain
from tunewright.runtime.explainer import Asked
from tunewright.runtime.redrawn import redrawn

DRAWS = 2
"""Networks whose weights are drawn anew; the texts take them in turn."""
CHECKED = 12
"""Texts at the most."""
LIKE = 0.5
"""The rank correlation that explanations of a random network may have."""
PASSED = "the explanations change with the weights, as they should"
FAILED = "the explanations hardly change with the weights: do not believe them"
UNSURE = "these texts cannot tell whether the explanations change with the weights"


@dataclass(frozen=True)
class Network:
    """One network with random weights, and its explainer by gradients where there is one."""

    model: Asked
    gradients: Way | None


def against_random(
    context: Context, model: Asked, target: str, measured: Mapping[str, tuple[Way, Mapping[str, Any]]]
) -> tuple[dict[str, Finding], tuple[Exhibit, ...]]:
    """The finding of each explainer, and the table of both correlations.

    measured : name → explainer and the texts that it is measured on
    """
    try:
        random = networks(context)
    except TunewrightError as error:
        note = f"not run, because {error.problem}"
        return {way: Finding("explanations", f"random_weights.{way}", None, note=note) for way in measured}, ()
    findings, rows = {}, []
    for name, (way, texts) in measured.items():
        like = likeness(model, random, texts, target, way, context.seed)
        value = mean_with_interval(like[:, 1], context.seed)
        note = PASSED if value[2] < LIKE else FAILED if value[1] > LIKE else UNSURE
        metric = f"random_weights.{name}"
        findings[name] = Finding("explanations", metric, *value, len(like), source=BOOTSTRAP, note=note)
        rows.append((name, *like.mean(0).tolist(), len(like)))
    note = "mean rank correlation of the explanations of the model with those of a network with random weights"
    columns = ("explainer", "weights", "sizes", "texts")
    return findings, (Exhibit("Random weights", "table", columns, tuple(rows), note),)


def networks(context: Context) -> list[Network]:
    """Raises a ``TunewrightError`` where the weights are not at hand."""
    if context.predictor is None:
        raise TunewrightError("the model is no bundle at hand", "name a bundle's folder")
    seeds = [context.seed + 1 + at for at in range(DRAWS)]
    return [Network(redrawn(context.predictor, seed), _gradients(context, seed)) for seed in seeds]


def likeness(
    model: Asked, random: Sequence[Network], texts: Mapping[str, Sequence[Any]], target: str, way: Way, seed: int
) -> NDArray[np.float64]:
    """float64 (n, 2): Spearman's rank correlation of each text's weights under the trained and a random network, and
    that of their sizes.

    Both explain the label that the trained network predicts (the likeliest of several).
    """
    columns = list(texts)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*texts.values(), strict=True)][:CHECKED]
    found = []
    for at, row in enumerate(rows):
        network = random[at % len(random)]
        other = way if isinstance(way, str) or way.name != "ig" else network.gradients
        assert other is not None
        options: dict[str, Any] = {"target": target, "most": PIECES, "seed": seed}
        told = max(explain(model, [row], way, **options), key=lambda one: one.score)
        (by_chance,) = explain(network.model, [row], other, label=told.label, **options)
        one, two = (np.array([piece.weight for piece in each.pieces]) for each in (told, by_chance))
        found.append((rank_correlation(one, two), rank_correlation(np.abs(one), np.abs(two))))
    return np.array(found, np.float64).reshape(-1, 2)


def _gradients(context: Context, seed: int) -> Way | None:
    try:
        return None if context.gradients is None else context.gradients(seed)
    except Exception:
        return None  # the explainer itself has said why there is none
