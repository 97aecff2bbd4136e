"""Classes: against scikit-learn, with the worst of many named and small ones not judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tunewright.audit import Context, check_gates, judge
from tunewright.audit import classes as audit
from tunewright.audit._intervals import share
from tunewright.kinds.multilabel import Multilabel

Make = Callable[..., Context]


def table(context: Context) -> dict[str, tuple[object, ...]]:
    exhibit = next(one for one in audit.run(context)[0].exhibits if one.form == "table")
    assert exhibit.columns == ("class", "precision", "recall", "f1", "rows", "decided so")
    return {str(row[0]): row[1:] for row in exhibit.rows}


def test_the_table_is_that_of_scikit_learn(decided: Make) -> None:
    draw = np.random.default_rng(0)
    truth, said = draw.integers(0, 4, 200), draw.integers(0, 4, 200)
    rows = table(decided(truth, said))
    expected = np.stack(precision_recall_fscore_support(truth, said))
    for at in range(4):
        assert rows[f"c{at}"][:4] == pytest.approx(expected[:, at])
        assert rows[f"c{at}"][4] == (said == at).sum()


def test_multilabel_counts_each_label_by_itself() -> None:
    draw = np.random.default_rng(1)
    truth, said = (draw.integers(0, 2, (150, 3)).astype(np.uint8) for _ in range(2))
    rows = table(Context(Multilabel(("x", "y", "z"), (0.5,) * 3), 4.0 * said - 2.0, truth))
    expected = np.stack(precision_recall_fscore_support(truth, said))
    for at, name in enumerate("xyz"):
        assert rows[name][:4] == pytest.approx(expected[:, at])


def test_the_worst_class_is_found_with_an_interval_widened_for_all_that_were_looked_at(decided: Make) -> None:
    truth = np.repeat([0, 1, 2], 20)
    said = truth.copy()
    said[20:28] = 0
    worst = audit.run(decided(truth, said))[0]
    assert (worst.metric, worst.value, worst.n) == ("worst_class.recall", pytest.approx(0.6), 20)
    assert (worst.low, worst.high) == share(np.arange(20) >= 8, 1 - 0.05 / 3)
    assert worst.note == "worst class: c1"


def test_a_class_of_few_rows_is_shown_and_not_judged(decided: Make) -> None:
    truth = np.array([0] * 20 + [1] * 9)
    context = decided(truth, np.zeros(29))
    worst, small = audit.run(context)
    assert worst.note == "worst class: c0"
    assert small.value == 1
    assert table(context)["c1"][1] == 0.0


def test_if_all_classes_are_small_none_is_called_the_worst(decided: Make) -> None:
    worst = audit.run(decided([0, 1, 0, 1, 1], [0, 1, 0, 1, 1]))[0]
    assert worst.value is None
    assert worst.note == "no class has 10 rows to be judged by"


def test_a_class_that_never_occurs_has_no_recall(decided: Make) -> None:
    rows = table(decided([0] * 12, [0] * 11 + [1], k=3))
    assert rows["c1"] == (0.0, None, 0.0, 0, 1)
    assert rows["c2"] == (None, None, None, 0, 0)


def test_the_worst_class_is_a_gate_by_its_name(decided: Make) -> None:
    truth = np.repeat([0, 1], 20)
    context = decided(truth, np.where(np.arange(40) >= 30, 0, truth))
    for limit, passed in ((">= 0.6", False), (">= 0.4", True)):
        check_gates({"worst_class.recall": limit}, context.kind)
        assert judge(audit.run(context), {"worst_class.recall": limit})[0].passed is passed
    assert judge(audit.run(context), {"worst_class.recall.low": ">= 0.4"})[0].passed is False
