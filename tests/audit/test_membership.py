"""Membership inference: a model that memorises is caught, another is not; the attack against its definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tunewright.audit import Context, Training, audit
from tunewright.audit._losses import attack, losses
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.report.sections import sections

LOSSES = st.lists(st.floats(0, 5).map(lambda one: round(one, 1)), min_size=2, max_size=20)


@given(inside=LOSSES, outside=LOSSES)
def test_the_area_is_that_of_scikit_learn(inside: list[float], outside: list[float]) -> None:
    auc, advantage = attack(np.array(inside), np.array(outside))
    member = [1] * len(inside) + [0] * len(outside)
    assert auc == pytest.approx(roc_auc_score(member, -np.array([*inside, *outside])))
    mean = np.mean(inside)
    caught, mistaken = (np.mean([one <= mean for one in some]) for some in (inside, outside))
    assert advantage == pytest.approx(caught - mistaken)


def test_losses_by_hand() -> None:
    logits = np.array([[math.log(0.8), math.log(0.2)]])
    assert losses(Classify(("a", "b")), logits, np.array([1])) == pytest.approx([-math.log(0.2)])
    both = losses(Multilabel(("a", "b"), (0.5, 0.5)), np.array([[0.0, 2.0]]), np.array([[1, 0]], np.uint8))
    assert both == pytest.approx([math.log(2) + math.log(1 + math.exp(2))])
    assert losses(Regress(5.0, 2.0), np.array([[1.0]]), np.array([4.0])) == pytest.approx([9.0])


def model(sure: float, seed: int = 0, n: int = 300) -> Context:
    """A model whose logit of the true label is larger by ``sure`` on rows that it has learnt from."""
    draws = np.random.default_rng(seed)
    truth, learnt = draws.integers(0, 3, n), draws.integers(0, 3, n)
    texts, known = [f"new {at}" for at in range(n)], [f"old {at}" for at in range(n)]
    logits = draws.normal(0, 1, (n, 3)) + np.eye(3)[truth]
    at_home = draws.normal(0, 1, (n, 3)) + np.eye(3)[learnt] * (1 + sure)

    def ask(columns: Any) -> Any:
        return np.stack([at_home[int(text.split()[1])] for text in columns["text"]])

    train = Training({"text": known}, learnt)
    return Context(Classify(("a", "b", "c")), logits, truth, {"text": texts}, train=train, ask=ask)


def of(context: Context) -> dict[str, Finding]:
    return {one.metric: one for one in audit(context, only=["membership"])}


def test_a_memorising_model_is_caught() -> None:
    found = of(model(4.0))
    auc, advantage = found["membership_auc"], found["membership_advantage"]
    assert auc.low is not None
    assert auc.low > 0.9
    assert advantage.value is not None
    assert advantage.value > 0.5
    assert auc.n == 600
    assert auc.exhibits[0].rows[0][0] == "training rows"
    assert not auc.exhibits[0].private


@pytest.mark.parametrize("seed", range(5))
def test_one_that_does_not_is_not(seed: int) -> None:
    auc = of(model(0.0, seed))["membership_auc"]
    assert auc.low is not None
    assert auc.high is not None
    assert auc.low < 0.53
    assert auc.high > 0.47


def test_rows_of_both_parts_are_left_out() -> None:
    plain = model(0.0)
    texts = [*plain.train.inputs["text"][:290], *plain.inputs["text"][290:]]
    few = Context(plain.kind, plain.logits, plain.truth, {"text": texts}, train=plain.train, ask=plain.ask)
    assert "300 training rows and 10 others are too few" in of(few)["membership_auc"].note


def test_it_runs_where_it_is_named_and_says_what_it_lacks() -> None:
    assert "membership" not in {one.audit for one in audit(model(0.0, n=40))}
    bare = model(0.0, n=40)
    none = Context(bare.kind, bare.logits, bare.truth, bare.inputs, train=bare.train)
    assert of(none)["membership_auc"].note == "not run, because there is no model at hand to ask"


def test_everything_it_says_is_there_in_chinese() -> None:
    (section,) = sections(list(of(model(0.0)).values()))
    for finding in section.findings:
        assert section.metric(finding.metric)[1] != finding.metric
        assert section.say(finding.note)[1] != finding.note
    (table,) = section.exhibits
    for one in (*table.columns, table.title, table.note):
        assert section.say(one)[1] != one
