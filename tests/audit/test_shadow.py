"""Shadow models: the attack against its definition, a memorising model caught where the plain attack is blind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, Training, audit
from tunewright.audit.shadow import SHADOWS, halves, taught, without
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify

N = 300


def test_half_of_the_shadow_models_learn_from_each_row() -> None:
    learnt = halves(101, np.random.default_rng(0))
    assert learnt.shape == (SHADOWS, 101)
    assert (learnt.sum(0) == SHADOWS // 2).all()
    assert (abs(learnt.sum(1) - 50) < 20).all()


def test_the_mean_is_over_models_that_have_not_learnt_from_the_row() -> None:
    costs = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    learnt = np.array([[True, False], [False, False], [False, True]])
    assert without(costs, learnt).tolist() == [4.0, 3.0]


def test_the_limit_is_the_best_one_over_a_shadow_model() -> None:
    """Rows 0 and 1 cost the first shadow model 1 less than the others, which have not learnt from them."""
    costs = np.array([[0.0, 4.0, 1.0, 5.0], [1.0, 5.0, 1.0, 5.0], [1.0, 5.0, 1.0, 5.0]])
    learnt = np.array([[True, True, False, False], [False] * 4, [False] * 4])
    assert taught(costs, learnt, 0) == (-1.0, 1.0)


def model(sure: float, seed: int = 0) -> Context:
    """Rows of which each is as hard as it is; a model's logit of the truth is larger by ``sure`` where it was learnt.

    The rows differ in how hard they are by far more than that, so that a loss alone tells little.
    """
    draws = np.random.default_rng(seed)
    truth, learnt = draws.integers(0, 2, N), draws.integers(0, 2, N)
    hard = {name: draws.normal(0, 4, N) for name in ("new", "old")}
    of = {"new": truth, "old": learnt}

    def made(rows: Any) -> Callable[[Any], Any]:
        known = {f"old {at}" for at in rows}

        def ask(columns: Any) -> Any:
            found = []
            for text in columns["text"]:
                part, at = text.split()
                logit = hard[part][int(at)] + (sure if text in known else 0.0) + draws.normal(0, 0.1)
                found.append([logit, 0.0] if of[part][int(at)] == 0 else [0.0, logit])
            return np.array(found)

        return ask

    kind, texts = Classify(("a", "b")), {"text": [f"new {at}" for at in range(N)]}
    train = Training({"text": [f"old {at}" for at in range(N)]}, learnt)
    ask = made(range(N))
    return Context(
        kind, ask(texts), truth, texts, train=train, ask=ask, seed=seed, fit=lambda rows, seed: (kind, made(rows))
    )


def of(context: Context, name: str = "shadow") -> dict[str, Finding]:
    return {one.metric: one for one in audit(context, only=[name])}


def test_a_memorising_model_is_caught_where_its_losses_alone_tell_little() -> None:
    context = model(2.0)
    found, plain = of(context), of(context, "membership")
    auc, advantage = found["shadow_auc"], found["shadow_advantage"]
    assert auc.low is not None
    assert auc.low > 0.9
    assert advantage.value is not None
    assert advantage.value > 0.5
    assert auc.n == 2 * N
    assert plain["membership_auc"].value is not None
    assert plain["membership_auc"].value < 0.75
    assert [row[0] for row in auc.exhibits[0].rows] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("seed", range(3))
def test_one_that_does_not_memorise_is_not(seed: int) -> None:
    auc = of(model(0.0, seed))["shadow_auc"]
    assert auc.low is not None
    assert auc.high is not None
    assert auc.low < 0.53
    assert auc.high > 0.47


def test_it_says_what_it_lacks() -> None:
    context = model(1.0)
    assert of(replace(context, fit=None))["shadow_auc"].note == "not run, because the model cannot be fitted anew here"
    few = replace(
        context, truth=context.truth[:40], logits=context.logits[:40], inputs={"text": context.inputs["text"][:40]}
    )
    note = "not run, because 300 training rows and 40 others are too few to compare"
    assert of(few)["shadow_auc"].note == note


def test_it_has_to_be_named() -> None:
    assert not [one for one in audit(model(1.0), costly=True) if one.audit == "shadow"]
