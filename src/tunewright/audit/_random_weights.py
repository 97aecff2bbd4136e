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
from tunewright.audit._remembered import Remembered
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Exhibit, Finding
from tunewright.kinds.regress import rank_correlation
from tunewright.runtime.explain import Explanation, explain
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
class Told:
    """What an explainer said of texts under the trained network.

    way : the explainer
    texts : column → values
    explanations : one of each text, of the label that the trained network predicts (the likeliest of several)
    """

    way: Way
    texts: Mapping[str, Sequence[Any]]
    explanations: Sequence[Explanation]


@dataclass(frozen=True)
class Network:
    """One network with random weights, and its explainer by gradients where there is one."""

    model: Asked
    gradients: Way | None


def against_random(
    context: Context, target: str, measured: Mapping[str, Told]
) -> tuple[dict[str, Finding], tuple[Exhibit, ...]]:
    """The finding of each explainer, by its name, and the table of both correlations."""
    try:
        random = networks(context, target)
    except TunewrightError as error:
        note = f"not run, because {error.problem}"
        return {way: Finding("explanations", f"random_weights.{way}", None, note=note) for way in measured}, ()
    findings, rows = {}, []
    for name, told in measured.items():
        like = likeness(told, random, context.seed)
        value = mean_with_interval(like[:, 1], context.seed)
        note = PASSED if value[2] < LIKE else FAILED if value[1] > LIKE else UNSURE
        metric = f"random_weights.{name}"
        findings[name] = Finding("explanations", metric, *value, len(like), source=BOOTSTRAP, note=note)
        rows.append((name, *like.mean(0).tolist(), len(like)))
    note = "mean rank correlation of the explanations of the model with those of a network with random weights"
    columns = ("explainer", "weights", "sizes", "texts")
    return findings, (Exhibit("Random weights", "table", columns, tuple(rows), note),)


def networks(context: Context, target: str) -> list[Network]:
    """Raises a ``TunewrightError`` where the weights are not at hand."""
    if context.predictor is None:
        raise TunewrightError("the model is no bundle at hand", "name a bundle's folder")
    seeds = [context.seed + 1 + at for at in range(DRAWS)]
    models = [Remembered(redrawn(context.predictor, seed), target) for seed in seeds]
    return [Network(model, _gradients(context, seed)) for model, seed in zip(models, seeds, strict=True)]


def likeness(told: Told, random: Sequence[Network], seed: int) -> NDArray[np.float64]:
    """float64 (n, 2): Spearman's rank correlation of each text's weights under the trained and a random network, and
    that of their sizes; both explain the same label."""
    rows = [dict(zip(told.texts, values, strict=True)) for values in zip(*told.texts.values(), strict=True)][:CHECKED]
    found = []
    for at, (row, known) in enumerate(zip(rows, told.explanations, strict=False)):
        network = random[at % len(random)]
        other = told.way if isinstance(told.way, str) or told.way.name != "ig" else network.gradients
        assert other is not None
        (by_chance,) = explain(
            network.model, [row], other, target=known.target, label=known.label, most=PIECES, seed=seed
        )
        one, two = (np.array([piece.weight for piece in each.pieces]) for each in (known, by_chance))
        found.append((rank_correlation(one, two), rank_correlation(np.abs(one), np.abs(two))))
    return np.array(found, np.float64).reshape(-1, 2)


def _gradients(context: Context, seed: int) -> Way | None:
    try:
        return None if context.gradients is None else context.gradients(seed)
    except Exception:
        return None  # the explainer itself has said why there is none
