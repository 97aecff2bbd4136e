"""Two models on the same rows: signs, intervals, flips, classes, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tunewright.audit import Context, audit, check_gates, compare
from tunewright.audit._intervals import bias_corrected, bootstrap
from tunewright.audit._pair import Pair
from tunewright.audit._sentence import Change, sentence
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.kinds.regress import Regress
from tunewright.report.sections import sections

Found = dict[tuple[str, str], Finding]


def of(context: Context) -> Found:
    """Metric and slice → finding."""
    return {(one.metric, one.slice): one for one in compare.run(context)}


def turned(context: Context) -> Context:
    """The same with old and new swapped."""
    assert context.before is not None
    return replace(context.before, before=replace(context, before=None))


def said(truth: Any, a: Any, b: Any, labels: str = "xyz") -> Context:
    """Single labels by position, each answered with a score of 0.9."""

    def one(decided: Any) -> Context:
        logits = np.log(np.where(np.eye(len(labels))[np.asarray(decided)] > 0, 0.9, 0.1 / (len(labels) - 1)))
        inputs = {"text": [f"text of row {at}" for at in range(len(decided))]}
        return Context(Classify(tuple(labels)), logits, np.asarray(truth, np.int64), inputs)

    return replace(one(b), before=one(a))


Answers = st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=25)


@settings(max_examples=8, deadline=None)
@given(Answers)
def test_equal_models_differ_by_nothing(rows: list[tuple[int, int, int]]) -> None:
    truth, decided, _ = zip(*rows, strict=True)
    found = of(said(truth, decided, decided))
    for (metric, part), one in found.items():
        if metric.startswith("difference.") and not part:
            assert (one.value, one.low, one.high) == (0, 0, 0)
        if metric.startswith("p."):
            assert one.value == 1
    assert found["difference.accuracy", ""].note == f"A and B answer all {len(rows)} rows alike"
    assert found["rows_needed", ""].value is None
    assert not any(metric == "difference.recall" for metric, _ in found)


@settings(max_examples=8, deadline=None)
@given(Answers)
@example([(0, 0, 1), (0, 0, 1), (0, 1, 0)])  # the change of the calibration error is as large as it can be
def test_swapping_old_and_new_mirrors_everything(rows: list[tuple[int, int, int]]) -> None:
    truth, a, b = zip(*rows, strict=True)
    context = said(truth, a, b)
    found, mirrored = of(context), of(turned(context))
    other = {"right_to_wrong": "wrong_to_right", "wrong_to_right": "right_to_wrong"}
    for (metric, part), one in found.items():
        if part in ("A", "B"):
            assert mirrored[metric, "B" if part == "A" else "A"].value == one.value
            continue
        twin = mirrored[other.get(metric, metric), part]
        if metric.startswith("difference."):
            assert one.value is not None
            assert one.low is not None
            assert one.high is not None
            assert (twin.value, twin.low, twin.high) == pytest.approx((-one.value, -one.high, -one.low), abs=1e-9)
        else:
            assert twin.value == one.value


def test_every_kind_mirrors(noisy: Context) -> None:
    found, mirrored = of(noisy), of(turned(noisy))
    for name in compare.judged_by(noisy.kind):
        value = found[f"difference.{name}", ""].value
        assert value is not None
        assert mirrored[f"difference.{name}", ""].value == pytest.approx(-value)
        assert value == pytest.approx((found[name, "B"].value or 0) - (found[name, "A"].value or 0))
        assert mirrored[f"p.{name}", ""].value == found[f"p.{name}", ""].value


def simulated(draw: np.random.Generator, n: int) -> Context:
    """A is right in 80 %, B in 86 %: B mends 10 % of the rows and spoils 4 %."""
    truth = draw.choice(3, n, p=[0.5, 0.3, 0.2])
    wrong = (truth + 1 + draw.integers(0, 2, n)) % 3
    fate = draw.choice(4, n, p=[0.76, 0.04, 0.10, 0.10])
    a, b = (np.where(np.isin(fate, right), truth, wrong) for right in ((0, 1), (0, 2)))
    return said(truth, a, b)


def test_intervals_hold_the_true_difference_as_promised() -> None:
    """200 draws of 200 rows. 600 draws, with 1,000 of the bootstrap each, hold it in 94 %; three standard errors of a
    share of 200, 5 points, are allowed.
    """
    draw, hits = np.random.default_rng(0), {"accuracy": 0, "macro_f1": 0}
    large = simulated(draw, 200_000)
    assert large.before is not None
    true = Pair(large.before, large).differences()
    assert true["accuracy"] == pytest.approx(0.06, abs=0.003)
    for seed in range(200):
        context = simulated(draw, 200)
        assert context.before is not None
        pair = Pair(context.before, context)
        drawn = bootstrap(pair.differences, 200, seed, cells=100_000)  # so many cells: 400 draws
        for name, value in pair.differences().items():
            low, high = bias_corrected(value, drawn[name])
            hits[name] += low <= true[name] <= high
    assert all(0.89 <= hit / 200 <= 0.99 for hit in hits.values()), hits


def test_flips_are_counted_in_both_directions_and_shown_in_private() -> None:
    #               right→wrong  wrong→right  wrong→other wrong  both right  both wrong alike
    context = said([0, 0, 1, 2, 2], [0, 1, 0, 2, 0], [1, 0, 2, 2, 0])
    found = of(context)
    shares = {name: found[name, ""].value for name in ("right_to_wrong", "wrong_to_right", "other_changes")}
    assert shares == dict.fromkeys(shares, 0.2)
    assert found["right_to_wrong", ""].note == "1 of 5 rows"
    (exhibit,) = found["right_to_wrong", ""].exhibits
    assert exhibit.private
    rows = [dict(zip(exhibit.columns, row, strict=True)) for row in exhibit.rows]
    assert [row["change"] for row in rows] == ["right → wrong", "wrong → right", "wrong → wrong"]
    first = {"place": "row 1", "text": "text of row 0", "truth": "x", "answer of A": "x", "answer of B": "y"}
    assert rows[0] == first | {"change": "right → wrong", "score of A": pytest.approx(0.9)} | {
        "score of B": pytest.approx(0.9)
    }
    private = [one for finding in found.values() for one in finding.exhibits if one.private]
    assert len(private) == 1


def test_rows_that_only_b_answers_right_make_it_better() -> None:
    found = of(said([0] * 60, [1] * 12 + [0] * 48, [0] * 60))
    first = found["difference.accuracy", ""]
    assert first.value == pytest.approx(0.2)
    assert found["p.accuracy", ""].value == pytest.approx(2 * 0.5**12)
    assert first.note.startswith("B is better by 20.0 points [")
    assert of(turned(said([0] * 60, [1] * 12 + [0] * 48, [0] * 60)))["difference.accuracy", ""].note.startswith("A is")


def test_five_rows_cannot_tell_even_where_all_flip_one_way() -> None:
    found = of(said([0] * 5, [1] * 5, [0] * 5))
    assert found["difference.accuracy", ""].value == 1
    assert found["p.accuracy", ""].value == pytest.approx(0.0625)
    assert found["difference.accuracy", ""].note == "5 rows cannot tell these apart; about 1 more would"


def test_five_numbers_cannot_tell_either() -> None:
    truth = np.arange(5.0)
    near, far = (Context(Regress(0.0, 1.0), (truth + off)[:, None], truth) for off in (0.1, 1.0))
    found = of(replace(near, before=far))
    assert found["difference.mae", ""].value == pytest.approx(-0.9)
    assert found["p.mae", ""].value == pytest.approx(0.0625)
    assert found["difference.mae", ""].note.startswith("5 rows cannot tell these apart")
    assert found["nearer", ""].value == 1


def test_smaller_errors_are_better() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(0, 1, 200)
    near, far = (Context(Regress(0.0, 1.0), (truth + draw.normal(0, s, 200))[:, None], truth) for s in (0.2, 0.6))
    first = of(replace(near, before=far))["difference.mae", ""]
    assert first.note.startswith("B is better by 0.3")
    assert first.note.endswith("in mean absolute error")
    assert of(replace(far, before=near))["difference.mae", ""].note.startswith("A is better by 0.3")


def test_classes_gain_and_lose_and_are_held_against_all_looks() -> None:
    truth = [0] * 40 + [1] * 40 + [2] * 40
    a = [0] * 40 + [0] * 10 + [1] * 30 + [2] * 40
    b = [1] * 3 + [0] * 37 + [1] * 40 + [2] * 40
    found = of(said(truth, a, b))
    assert found["difference.recall", "y"].value == pytest.approx(0.25)
    assert found["difference.recall", "x"].value == pytest.approx(-0.075)
    assert ("difference.recall", "z") not in found
    assert found["difference.recall", "y"].note == f"0.750 in A, 1.000 in B; p = {3 * 2 * 0.5**10:.2g} for 3 classes"
    (table,) = found["difference.recall", "y"].exhibits
    assert [row[0] for row in table.rows] == ["y", "x", "z"]


def test_a_surer_model_raises_the_score_and_may_be_off_by_more() -> None:
    truth = np.array([0] * 70 + [1] * 30)
    mild, bold = (np.repeat([[scale, 0.0]], 100, 0) for scale in (np.log(0.7 / 0.3), np.log(0.95 / 0.05)))
    kind = Classify(("x", "y"))
    found = of(Context(kind, bold, truth, before=Context(kind, mild, truth)))
    assert found["difference.mean_score", ""].value == pytest.approx(0.25)
    assert found["ece", "A"].value == pytest.approx(0.0)
    assert found["ece", "B"].value == pytest.approx(0.25)
    error = found["difference.ece", ""]
    assert error.low is not None
    assert error.high is not None
    assert 0.1 < error.low < 0.25 < error.high


def test_labels_in_another_order_are_the_same_labels(noisy: Context) -> None:
    """Both kinds with labels: A's logits and labels are turned about, and nothing may change."""
    before = noisy.before
    assert before is not None
    if not noisy.kind.labels:
        pytest.skip("numbers have no labels")
    order, labels = [2, 0, 3, 1], tuple("cadb")
    many = before.truth.ndim == 2
    kind = replace(before.kind, labels=labels)
    truth = before.truth[:, order] if many else np.argsort(order)[before.truth]
    plain, shuffled = of(noisy), of(replace(noisy, before=Context(kind, before.logits[:, order], truth)))
    assert {key: one.value for key, one in shuffled.items()} == pytest.approx(
        {key: one.value for key, one in plain.items()}
    )


@pytest.mark.parametrize(
    ("changes", "needed", "expected"),
    [
        ([("accuracy", 0.03, (0.01, 0.05), 0.01)], 200, "B is better by 3.0 points [1.0, 5.0] in accuracy"),
        ([("accuracy", -0.03, (-0.05, -0.01), 0.01)], 200, "A is better by 3.0 points [1.0, 5.0] in accuracy"),
        ([("accuracy", 0.03, (0.01, 0.05), 0.06)], 537, "300 rows cannot tell these apart; about 240 more would"),
        ([("accuracy", 0.03, (-0.01, 0.05), 0.04)], 537, "300 rows cannot tell these apart; about 240 more would"),
        ([("accuracy", 0.0, (-0.02, 0.02), 1.0)], None, "300 rows cannot tell these apart, and show no difference"),
        (
            [("accuracy", 0.01, (-0.01, 0.02), 0.3), ("macro_f1", 0.1, (0.05, 0.15), 0.01)],
            537,
            "300 rows cannot tell these apart in accuracy, but B is better by 10.0 points [5.0, 15.0] in macro F1",
        ),
        (
            [("accuracy", 0.03, (0.01, 0.05), 0.01), ("macro_f1", -0.1, (-0.15, -0.05), 0.01)],
            537,
            "B is better by 3.0 points [1.0, 5.0] in accuracy, but A is better by 10.0 points [5.0, 15.0] in macro F1",
        ),
        (
            [("accuracy", 0.01, (-0.01, 0.02), 0.3), ("macro_f1", 0.1, (0.05, 0.15), 0.04)],  # 0.08 for two looks
            537,
            "300 rows cannot tell these apart; about 240 more would",
        ),
    ],
)
def test_the_sentence_says_what_the_numbers_do_in_both_languages(
    changes: list[tuple[Any, ...]], needed: int | None, expected: str
) -> None:
    assert sentence({one[0]: Change(*one) for one in changes}, needed, 300) == expected
    section = sections([Finding("compare", "difference.accuracy", 0.1)])[0]
    chinese = section.say(expected)[1]
    assert chinese != expected
    assert not set("better cannot apart") & set(chinese.replace("A", "").replace("B", "").replace("F1", "")) - set(" ")
    assert all(number in chinese for number in ("3.0", "10.0") if number in expected)


def test_without_a_second_model_it_does_not_run(noisy: Context) -> None:
    alone = replace(noisy, before=None)
    found = audit(alone, only=["compare"])
    assert {one.note for one in found} == {"not run, because there is no other model to compare with"}
    assert "compare" not in {one.audit for one in audit(noisy)}


def test_a_gate_on_a_comparison_is_refused_before_a_fit() -> None:
    with pytest.raises(TunewrightError, match=r"gates\.difference\.accuracy: no audit measures this"):
        check_gates({"difference.accuracy": ">= 0"}, Classify(("x", "y")))


def test_findings_hold_no_text_of_a_row(decided: Callable[..., Context]) -> None:
    context = said([0, 1, 2] * 20, [0, 1, 1] * 20, [0, 2, 2] * 20)
    shown = [exhibit for one in compare.run(context) for exhibit in one.exhibits if not exhibit.private]
    assert shown
    assert "text of row" not in repr(shown) + repr([one.record() for one in compare.run(context)])
