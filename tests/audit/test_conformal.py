"""Sets of labels, judged: counts by hand, the promise over many draws, and what cannot be measured."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.audit import Context
from tunewright.audit import conformal as audit
from tunewright.audit._intervals import wilson
from tunewright.core.types import Finding
from tunewright.kinds._promise import Promise, Scores
from tunewright.kinds.classify import Classify


def by_name(context: Context) -> dict[str, Finding]:
    return {finding.metric: finding for finding in audit.run(context)}


def limited(limit: float) -> Classify:
    """A label is in the set where 1 - p is no larger than the limit, whatever the rate."""
    return Classify(("a", "b", "c"), promise=Promise((Scores(999, tuple(range(1, 1000)), (limit,) * 999),)))


def rows() -> Context:
    """40 rows: 20 of a that are sure, 10 of b of which the set is a and b, 10 of c that are answered with a."""
    sure, both = [0.9, 0.05, 0.05], [0.5, 0.45, 0.05]
    proba = np.array([sure] * 20 + [both] * 10 + [sure] * 10)
    truth = np.repeat([0, 1, 2], [20, 10, 10])
    return Context(limited(0.6), np.log(proba), truth)


def test_shares_by_hand() -> None:
    found = by_name(rows())
    assert found["covered_95"].value == pytest.approx(30 / 40)
    assert (found["covered_95"].low, found["covered_95"].high) == pytest.approx(wilson(30, 40))
    assert found["set_size_95"].value == pytest.approx((30 * 1 + 10 * 2) / 40)
    assert found["single_95"].value == pytest.approx(30 / 40)
    assert found["single_wrong_95"].value == pytest.approx(10 / 40)
    assert found["worst_class_covered"].value == 0.0
    assert found["worst_class_covered"].n == 10
    assert [row[0] for row in found["worst_class_covered"].exhibits[0].rows] == ["c", "a", "b"]
    table = found["covered_95"].exhibits[0].rows
    assert table[2][:2] == (0.95, 0.75)


def test_the_promise_is_held_by_a_true_model_and_missed_by_rows_of_another_kind() -> None:
    draw = np.random.default_rng(0)

    def drawn(n: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
        truth = draw.integers(0, 3, n)
        return 3.0 * np.eye(3)[truth] + draw.normal(0, noise, (n, 3)), truth

    kind = Classify(tuple("abc")).promised(*drawn(2000, 1.5))
    held = by_name(Context(kind, *drawn(2000, 1.5)))
    moved = by_name(Context(kind, *drawn(2000, 4.0)))
    for level, promise in (("90", 0.9), ("95", 0.95)):
        low, high = held[f"covered_{level}"].low, held[f"covered_{level}"].high
        assert low is not None
        assert high is not None
        assert low - 0.01 <= promise <= high + 0.01
        upper = moved[f"covered_{level}"].high
        assert upper is not None
        assert upper < promise


def test_without_kept_scores_nothing_is_measured() -> None:
    found = audit.run(Context(Classify(("a", "b", "c")), np.zeros((5, 3)), np.zeros(5, np.int64)))
    assert [one.metric for one in found] == list(audit.metrics(Classify(("a", "b"))))
    assert {(one.value, one.note) for one in found} == {(None, audit.WHY)}


@pytest.mark.parametrize("per_class", [False, True])
def test_the_rows_that_the_scores_come_from_prove_nothing(per_class: bool) -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 400)
    logits = 2.0 * np.eye(3)[truth] + draw.normal(0, 1.0, (400, 3))
    kind = Classify(tuple("abc")).promised(logits, truth, per_class=per_class)
    found = audit.run(Context(kind, logits, truth))
    assert {(one.value, one.note) for one in found} == {(None, audit.SAME)}
    assert audit.run(Context(kind, logits[:399], truth[:399]))[0].value is not None


def test_classes_of_few_rows_are_not_compared() -> None:
    context = Context(limited(0.6), np.zeros((6, 3)), np.array([0, 0, 1, 1, 2, 2]))
    worst = by_name(context)["worst_class_covered"]
    assert (worst.value, worst.note) == (None, "not run, because no class has 10 rows")
