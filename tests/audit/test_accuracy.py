"""Accuracy: against scikit-learn, with the interval each metric needs, leaked rows and the baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from tunewright.audit import Context, Training
from tunewright.audit import accuracy as audit
from tunewright.audit._intervals import share, wilson
from tunewright.core.types import Finding
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress

Make = Callable[..., Context]


def by_name(findings: list[Finding], part: str = "") -> dict[str, Finding]:
    return {finding.metric: finding for finding in findings if finding.slice == part}


@pytest.fixture
def context(decided: Make) -> Context:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 5, 300)
    said = np.where(draw.random(300) < 0.8, truth, draw.integers(0, 5, 300))
    leaked = np.zeros(300, bool)
    leaked[:30] = True
    return decided(truth, said, leaked=leaked, train=Training({}, np.array([2, 2, 2, 1, 0, 3, 4])))


def test_values_are_those_of_scikit_learn(context: Context) -> None:
    found, truth, said = by_name(audit.run(context)), context.truth, context.decided
    assert found["accuracy"].value == pytest.approx(sk.accuracy_score(truth, said))
    assert found["macro_f1"].value == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert found["balanced_accuracy"].value == pytest.approx(sk.balanced_accuracy_score(truth, said))
    assert all(finding.n == 300 for finding in found.values())


def test_accuracy_has_the_interval_of_a_share_and_macro_f1_that_of_a_mean_over_classes_and_both_say_so(
    context: Context,
) -> None:
    found = by_name(audit.run(context))
    accuracy, macro = found["accuracy"], found["macro_f1"]
    assert (accuracy.low, accuracy.high) == share(context.truth == context.decided)
    assert "Wilson" in accuracy.source
    assert "inverted tests" in macro.source
    assert "smoothed table" in macro.source
    assert macro.low is not None
    assert macro.high is not None
    assert macro.low < (macro.value or 0) < macro.high


def test_leaked_rows_are_left_out_of_a_second_figure(context: Context) -> None:
    clean = by_name(audit.run(context), "without leaked rows")
    kept = ~context.leaked
    assert clean["accuracy"].value == pytest.approx((context.truth == context.decided)[kept].mean())
    assert clean["accuracy"].n == 270
    assert clean["accuracy"].note == "30 of 300 rows occur in training"


def test_without_knowledge_of_leaks_the_second_figure_is_not_run(decided: Make) -> None:
    clean = by_name(audit.run(decided([0, 1], [0, 1])), "without leaked rows")
    assert clean["accuracy"].value is None
    assert clean["accuracy"].note == "not run, because it is not known which rows occur in training"


def test_if_every_row_is_leaked_there_is_no_second_figure(decided: Make) -> None:
    clean = by_name(audit.run(decided([0, 1], [0, 1], leaked=np.ones(2, bool))), "without leaked rows")
    assert clean["accuracy"].value is None
    assert clean["accuracy"].note == "2 of 2 rows occur in training"


def test_the_baseline_always_answers_the_most_common_training_label(context: Context) -> None:
    baseline = by_name(audit.run(context))["baseline.accuracy"]
    assert baseline.value == pytest.approx((context.truth == 2).mean())
    assert baseline.note == "always answering 'c2'"


def test_a_model_without_a_mistake_has_an_interval_with_a_width(decided: Make) -> None:
    found = by_name(audit.run(decided([0, 1] * 25, [0, 1] * 25)))
    for name in ("accuracy", "macro_f1"):
        assert found[name].value == 1.0
        assert (found[name].low, found[name].high) == (pytest.approx(0.93, abs=0.01), 1.0)


def test_a_seed_gives_the_same_interval_and_another_one_another(context: Context) -> None:
    def macro(seed: int) -> Any:
        found = by_name(audit.run(Context(context.kind, context.logits, context.truth, seed=seed)))["macro_f1"]
        return found.low, found.high

    assert macro(1) == macro(1)
    assert macro(1) != macro(2)


def test_multilabel_has_its_metrics_and_the_most_common_set_as_baseline() -> None:
    truth = np.array([[1, 0], [1, 0], [1, 0], [0, 1]] * 10, np.uint8)
    context = Context(Multilabel(("a", "b"), (0.5, 0.5)), 4.0 * truth - 2.0, truth, train=Training({}, truth))
    found = by_name(audit.run(context))
    assert found["micro_f1"].value == 1.0
    assert found["hamming_loss"].value == 0.0
    assert found["hamming_loss"].high == pytest.approx(wilson(0, 40)[1])
    assert found["baseline.micro_f1"].value == pytest.approx(sk.f1_score(truth, truth * 0 + [1, 0], average="micro"))


def test_regression_has_the_mean_as_baseline() -> None:
    truth = np.random.default_rng(0).normal(3, 2, 200)
    context = Context(Regress(3.0, 2.0), np.zeros((200, 1)), truth, train=Training({}, truth))
    found = by_name(audit.run(context))
    assert found["mae"].value == pytest.approx(sk.mean_absolute_error(truth, np.full(200, 3.0)))
    assert found["baseline.r2"].value == pytest.approx(0.0, abs=1e-9)
    assert found["baseline.r2"].note == "always answering the mean"


def test_the_names_are_known_before_anything_is_measured(noisy: Context) -> None:
    given = {finding.metric for finding in audit.run(noisy)}
    assert given == set(audit.metrics(noisy.kind))
