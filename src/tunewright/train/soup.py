"""Model soup: weights of several trainings from one start, averaged as far as that helps on the validation part.

Source: Wortsman et al. 2022, Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time (arXiv 2203.05482), the greedy recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tunewright.train.course import Best, Course, Model
from tunewright.train.members import Member, Place, Values, members

RATES = (1.0, 0.5, 2.0)
"""Factors of the step size, in turn, where ``fit.soup_rates`` asks for them."""

Judged = Callable[[Values, Member], Member]
"""(averaged values, the best member) → they, judged on the validation part"""


def soup(course: Course, model: Model) -> tuple[Best, dict[str, Any]]:
    """``fit.soup`` trainings, and their greedy average, which the model holds afterwards.

    Returns
    -------
    The soup as if it were the best of one training, and what is to be told: the members' scores, which of them are in
    it (numbers from 1, best first), its own score.
    """
    fit, place = course.fit, Place(course, model)
    made = members(place, fit.soup, shares=fit.soup, rates=RATES if fit.soup_rates else (1.0,))
    found, kept = greedy(made, lambda values, best: place.judged(values, best.carried, best.facts))
    place.put(found.values, found.carried)
    told = {
        "soup_scores": [one.score for one in made],
        "soup_kept": [at + 1 for at in kept],
        "soup_score": found.score,
    }
    said = f"{course.name}: a soup of {len(kept)} of {len(made)} trainings, validation {course.metric}"
    course.run.log("soup", method=course.name, **told, say=f"{said} {found.score:.4f}")
    steps = sum(one.facts["steps"] for one in made)
    facts = {**found.facts, "steps": steps, **told}
    return Best(dict(found.values), found.score, found.outputs, facts["best_step"], scores=facts["scores"]), facts


def greedy(made: Sequence[Member], judged: Judged) -> tuple[Member, list[int]]:
    """Begin with the best; add each further one, best first, where the average with it is no worse.

    Returns
    -------
    The average of those that stay, never worse than the best of them, and their positions.
    """
    order = sorted(range(len(made)), key=lambda at: -made[at].score)
    kept, found = order[:1], made[order[0]]
    for at in order[1:]:
        tried = judged(mean([made[one].values for one in (*kept, at)]), made[order[0]])
        if tried.score >= found.score:
            kept, found = [*kept, at], tried
    return found, kept


def mean(values: Sequence[Values]) -> dict[str, Tensor]:
    """The average of each tensor."""
    return {name: torch.stack([one[name] for one in values]).mean(0) for name in values[0]}
