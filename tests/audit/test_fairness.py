"""Groups held against each other: what fairlearn says too, what is chance alone, and what is too small to be said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, demographic_parity_difference, equalized_odds_difference
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from tunewright.audit import Context, audit, check_gates, fairness, judge
from tunewright.audit._groups import Grouped, Rates, around
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress

Make = Callable[..., Context]


def by_name(found: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(one.metric, one.slice): one for one in found}


def answered(n: int, accuracy: dict[str, float], seed: int, k: int = 2) -> Context:
    """Rows of equal groups and labels, each group answered right at its own rate."""
    draw = np.random.default_rng(seed)
    groups = np.array(list(accuracy))[draw.integers(0, len(accuracy), n)]
    truth = draw.integers(0, k, n)
    right = draw.random(n) < np.array([accuracy[one] for one in groups])
    said = np.where(right, truth, (truth + draw.integers(1, k, n)) % k)
    labels = tuple(f"c{at}" for at in range(k))
    return Context(Classify(labels), 3.0 * np.eye(k)[said], truth, groups={"who": groups.tolist()})


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 4), st.integers(2, 4), st.integers(0, 2**31))
def test_what_fairlearn_says_of_one_label_against_the_others(k: int, m: int, seed: int) -> None:
    context = answered(160 * m, {f"g{at}": 0.5 + 0.1 * at for at in range(m)}, seed, k)
    groups, truth, said = context.groups["who"], context.truth, context.decided
    found = by_name(fairness.run(context))
    frame = MetricFrame(metrics=accuracy_score, y_true=truth, y_pred=said, sensitive_features=groups)
    assert found["group_gap", "who"].value == pytest.approx(frame.difference(method="between_groups"))
    assert found["worst_group.accuracy", "who"].value == pytest.approx(frame.group_min())
    for name, reference in (
        ("demographic_parity_difference", demographic_parity_difference),
        ("equalized_odds_difference", equalized_odds_difference),
    ):
        labels = [reference(truth == at, said == at, sensitive_features=groups) for at in range(k)]
        assert found[name, "who"].value == pytest.approx(max(labels))
        assert f"mean over labels {np.mean(labels):.3f}" in found[name, "who"].note


def test_several_labels_count_one_by_one() -> None:
    draw = np.random.default_rng(1)
    truth, groups = (draw.random((500, 3)) < 0.4).astype(np.uint8), draw.choice(["f", "m"], 500)
    logits = draw.normal(0, 1.5, (500, 3)) + 3.0 * truth - 1.5
    context = Context(Multilabel(tuple("abc"), (0.5,) * 3), logits, truth, groups={"who": groups.tolist()})
    found = by_name(fairness.run(context))
    said = context.decided
    labels = [equalized_odds_difference(truth[:, at], said[:, at], sensitive_features=groups) for at in range(3)]
    assert found["equalized_odds_difference", "who"].value == pytest.approx(max(labels))
    parts = [context.kind.metrics(said[groups == one], truth[groups == one])["micro_f1"] for one in ("f", "m")]
    gap = found["group_gap", "who"]
    assert gap.value == pytest.approx(abs(parts[0] - parts[1]))
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low <= gap.value <= gap.high


def test_numbers_are_compared_by_their_mean_error() -> None:
    draw = np.random.default_rng(2)
    truth, groups = draw.normal(5, 2, 400), np.repeat(["f", "m"], 200)
    errors = draw.normal(0, np.where(groups == "m", 1.0, 0.25))
    context = Context(Regress(5.0, 2.0), ((truth + errors - 5) / 2)[:, None], truth, groups={"who": groups.tolist()})
    found = by_name(fairness.run(context))
    means = [np.abs(errors[groups == one]).mean() for one in ("f", "m")]
    assert found["group_gap", "who"].value == pytest.approx(means[1] - means[0])
    assert found["group_gap", "who"].low > 0.3  # type: ignore[operator]
    worst = found["worst_group.mae", "who"]
    assert (worst.value, worst.note) == (pytest.approx(means[1]), "worst group: m")
    assert not [one for one in found if one[0].startswith("equalized")]


def test_a_planted_gap_is_found_and_a_clean_model_seldom_raises_an_alarm() -> None:
    planted = [by_name(fairness.run(answered(1000, {"f": 0.8, "m": 0.95}, seed))) for seed in range(20)]
    clean = [by_name(fairness.run(answered(1000, {"f": 0.9, "m": 0.9}, seed))) for seed in range(80)]
    assert sum(alarm(one, "group_gap") for one in planted) == 20
    for name in ("group_gap", "demographic_parity_difference", "equalized_odds_difference"):
        assert sum(alarm(one, name) for one in clean) <= 9  # 4 is what the intervals state


def alarm(found: dict[tuple[str, str], Finding], name: str) -> bool:
    low = found[name, "who"].low
    assert low is not None
    return low > 0


@pytest.mark.parametrize("rates", [(0.9, 0.9), (0.97, 0.8), (0.9, 0.9, 0.9, 0.9), (0.95, 0.9, 0.7, 0.9)])
@pytest.mark.parametrize("n", [40, 300])
def test_the_interval_holds_the_true_difference(rates: tuple[float, ...], n: int) -> None:
    """It may be wider than it had to be: the largest of several differences is never nearer than their range."""
    draw, held = np.random.default_rng(5), 0
    for seed in range(300):
        hits = draw.binomial(n, rates)
        low, high, _ = around(
            float(np.ptp(hits / n)), Rates(hits[:, None], np.full((len(rates), 1), n)).deviations(seed)
        )
        held += low <= max(rates) - min(rates) <= high
    assert held / 300 >= 0.93


def test_small_groups_are_said_to_be_small_and_a_gate_on_them_is_missed() -> None:
    context = answered(400, {"f": 0.9, "m": 0.9}, 0)
    groups = ["x", "x", "x", *context.groups["who"][3:]]
    found = fairness.run(replace(context, groups={"who": groups}))
    silent = by_name(found)["group_gap", "who"]
    assert silent.value is None
    assert silent.note == "too small to be judged: groups with fewer than 30 rows: x (3)"
    assert by_name(found)["group.accuracy", "who=x"].note == "too small to be judged: fewer than 30 rows"
    assert by_name(found)["group.accuracy", "who=f"].note == ""
    judged = by_name(judge(found, {"group_gap.who": "<= 0.5", "demographic_parity_difference.who": "<= 0.9"}))
    assert judged["group_gap", "who"].passed is False
    assert judged["demographic_parity_difference", "who"].passed is False


def test_rare_labels_are_too_small_for_equalised_odds_alone() -> None:
    context = answered(400, {"f": 0.9, "m": 0.9}, 0)
    truth = np.where(np.arange(400) < 12, 1, 0)
    found = by_name(fairness.run(replace(context, truth=truth)))
    assert found["group_gap", "who"].value is not None
    odds = found["equalized_odds_difference", "who"]
    assert odds.value is None
    assert "labels with or without which a group has fewer than 10 rows: c" in odds.note


def test_empty_cells_belong_to_no_group() -> None:
    grouped = Grouped.of("who", ["f", None, "m", " f ", "", float("nan"), 3])
    assert grouped.names == ("3", "f", "m")
    assert grouped.at.tolist() == [1, -1, 2, 1, -1, -1, 0]
    context = answered(400, {"f": 0.9, "m": 0.9}, 0)
    blank = replace(context, groups={"who": [None, None, None, *context.groups["who"][3:]]})
    assert by_name(fairness.run(blank))["group_gap", "who"].n == 397


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["f"] * 400, "column 'who' has one value: there is nothing to compare"),
        ([None] * 400, "no row has a value in column 'who'"),
        (list(range(400)), "column 'who' has 400 values: it holds no groups"),
    ],
)
def test_columns_that_hold_no_groups_are_named(values: list[Any], why: str) -> None:
    found = fairness.run(replace(answered(400, {"f": 0.9}, 0), groups={"who": values}))
    assert {one.note for one in found} == {f"not run, because {why}"}
    assert {one.value for one in found} == {None}
    assert {one.slice for one in found} == {"who"}


def test_without_a_column_of_groups_it_does_not_run() -> None:
    found = audit(replace(answered(40, {"f": 0.9}, 0), groups={}), only=["fairness"])
    assert found
    assert all(one.value is None and one.note.startswith("not run, because no column of groups") for one in found)


def test_without_fairlearn_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fairlearn", None)
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    monkeypatch.delitem(sys.modules, "tunewright.audit._fairlearn", raising=False)
    found = audit(answered(400, {"f": 0.9, "m": 0.9}, 0), only=["fairness"])
    assert {one.note for one in found} == {
        "not run, because fairlearn is not installed → pip install 'tunewright[audit]'"
    }
    assert judge(found, {"group_gap.who": "<= 0.5"})[1].passed is False


GATES = {"group_gap.gender": "<= 0.05", "worst_group.accuracy.gender.low": ">= 0.8", "group.accuracy.gender=f": ">= 0"}


def test_gates_of_groups_that_the_task_names_are_known() -> None:
    check_gates(GATES, Classify(("x", "y")), ("gender", "region"))
    check_gates(
        {f"intent.{name}": limit for name, limit in GATES.items()}, {"intent": Classify, "stars": Regress}, ("gender",)
    )
    check_gates({"accuracy": ">= 0.5"}, Classify, ())


@pytest.mark.parametrize(
    ("gate", "groups", "told"),
    [
        ("group_gap.gender", (), "gates.group_gap.gender: the task names no group 'gender' → set audit.groups"),
        ("group_gap.gendre.high", ("gender",), "names no group 'gendre' → set audit.groups; did you mean 'gender'?"),
        ("group_gap", ("gender",), "gates.group_gap names no column of groups → write gates.group_gap.gender"),
        ("fairness.group_gap.region", ("gender",), "the task names no group 'region'"),
    ],
)
def test_gates_of_other_groups_are_refused_before_training(gate: str, groups: tuple[str, ...], told: str) -> None:
    with pytest.raises(TunewrightError) as caught:
        check_gates({gate: "<= 0.05"}, Classify(("x", "y")), groups)
    assert told in str(caught.value)


def test_thresholds_are_shown_with_what_they_changed() -> None:
    context = answered(400, {"f": 0.9, "m": 0.8}, 0)
    moved = replace(context, kind=replace(context.kind, offsets=(0.0, -9.0)))  # type: ignore[type-var]
    exhibits = [one for finding in fairness.run(moved) for one in finding.exhibits]
    table = next(one for one in exhibits if one.title == "Before and after thresholds, groups of who")
    before, after = ({row[0]: row[at] for row in table.rows} for at in (1, 2))
    assert before["accuracy"] == pytest.approx(np.mean(context.decided == context.truth))
    assert after["accuracy"] == pytest.approx(np.mean(context.truth == 0))
    assert before["group_gap"] == by_name(fairness.run(context))["group_gap", "who"].value
