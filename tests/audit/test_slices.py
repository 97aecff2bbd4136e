"""Weak slices and clusters: planted ones are found with their value, and a clean model raises no alarm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tunewright.audit import Context, check_gates, clusters, judge, slices
from tunewright.audit._parts import MIN_ROWS, parts_of
from tunewright.audit._weak import LEVEL, excess, weak_parts
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify

Make = Callable[..., Context]
WORDS = ("where", "is", "my", "order", "card", "refund", "late", "never", "came", "again", "today", "please")


def texts_of(draw: np.random.Generator, n: int) -> list[str]:
    return [" ".join(draw.choice(WORDS, draw.integers(2, 9)).tolist()) for _ in range(n)]


def answered(
    decided: Make, seed: int, n: int = 1000, weak: Callable[[list[str], dict[str, list[Any]]], Any] | None = None
) -> Context:
    """90 % right; where ``weak`` says so, 55 %."""
    draw = np.random.default_rng(seed)
    texts = texts_of(draw, n)
    others = {
        "source": draw.choice(["web", "app", "mail"], n).tolist(),
        "day": [f"2024-{1 + at * 12 // n:02d}-{1 + at % 28:02d}" for at in range(n)],
        "id": [f"row{at}" for at in range(n)],
    }
    hard = np.zeros(n, bool) if weak is None else np.asarray(weak(texts, others))
    right = draw.random(n) < np.where(hard, 0.55, 0.9)
    truth = draw.integers(0, 3, n)
    said = np.where(right, truth, (truth + 1) % 3)
    return decided(truth, said, k=3, inputs={"text": texts}, others=others, seed=seed)


def weak_of(found: list[Finding]) -> dict[str, Finding]:
    return {one.slice: one for one in found if one.slice}


def test_the_p_value_is_that_of_fishers_exact_test() -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        rows, wrong = draw.random(120) < 0.3, draw.random(120) < 0.2
        table = [[(rows & wrong).sum(), (rows & ~wrong).sum()], [(~rows & wrong).sum(), (~rows & ~wrong).sum()]]
        assert excess(rows, ~rows, wrong) == pytest.approx(stats.fisher_exact(table, "greater").pvalue)


@pytest.mark.parametrize(
    ("name", "weak"),
    [
        ("word: refund", lambda texts, others: ["refund" in text for text in texts]),
        ("source: mail", lambda texts, others: [one == "mail" for one in others["source"]]),
        ("day: 2024-10", lambda texts, others: [day >= "2024-10-15" for day in others["day"]]),
        ("length: ", lambda texts, others: [len(text) > 33 for text in texts]),
    ],
)
def test_a_planted_weak_slice_is_found(decided: Make, name: str, weak: Any) -> None:
    context = answered(decided, 0, weak=weak)
    found = slices.run(context)
    assert found[0].metric == "weak_slices"
    named = [one for part, one in weak_of(found).items() if part.startswith(name)]
    assert named, weak_of(found)
    for one in named:
        assert one.metric == "slice.accuracy"
        assert one.value is not None
        assert one.value < 0.8
        assert one.low is not None
        assert one.low <= one.value
        assert 0 < one.n < 500, "of the half that did not pick it"
    assert found[0].value == len(weak_of(found))


def test_the_value_of_a_weak_slice_is_that_of_the_rows_that_did_not_pick_it(decided: Make) -> None:
    context = answered(decided, 0, weak=lambda _, others: [one == "mail" for one in others["source"]])
    one = weak_of(slices.run(context))["source: mail"]
    half = ~np.isin(np.arange(1000), np.random.default_rng(0).permutation(1000)[:500])
    rows = half & (np.array(context.others["source"]) == "mail")
    assert one.n == rows.sum()
    assert one.value == pytest.approx((context.decided == context.truth)[rows].mean())


def test_a_clean_model_raises_no_alarm_more_often_than_stated(decided: Make) -> None:
    """20 seeds at a level of 1 %: two alarms or more would come by chance in 1.7 % of such tests."""
    alarms = [seed for seed in range(20) if slices.run(answered(decided, seed))[0].value]
    assert len(alarms) <= 1, alarms


def test_few_rows_are_not_halved_and_all_slices_count(decided: Make) -> None:
    context = answered(decided, 1, n=300, weak=lambda _, others: [one == "web" for one in others["source"]])
    found = slices.run(context)
    parts = parts_of(context)
    assert found[0].note.startswith(f"{len(parts)} slices looked at, {len(parts)} tested")
    one = weak_of(found)["source: web"]
    assert one.n == sum(value == "web" for value in context.others["source"])


def test_slices_of_few_rows_and_texts_of_one_writer_are_not_looked_at(decided: Make) -> None:
    truth = np.zeros(100, np.int64)
    texts = ["something ordinary here"] * 50 + ["else"] * 31 + ["Mrs Featherstonehaugh 1234567"] * (MIN_ROWS - 1)
    context = decided(truth, truth, k=2, inputs={"text": texts}, others={"source": ["a"] * 90 + ["b"] * 10})
    found = slices.run(context)
    assert found[0].value == 0
    shown = str([one.record() for one in found]) + str([exhibit.rows for one in found for exhibit in one.exhibits])
    assert "feather" not in shown.casefold()
    assert "1234567" not in shown
    assert "source: b" not in shown


def test_inputs_that_are_empty_are_a_slice(decided: Make) -> None:
    truth = np.zeros(200, np.int64)
    texts = ["a text", ""] * 100
    assert "text: empty" in parts_of(decided(truth, truth, k=2, inputs={"text": texts})) or any(
        mask.tolist() == [False, True] * 100
        for mask in parts_of(decided(truth, truth, k=2, inputs={"text": texts})).values()
    )


def test_a_gate_on_the_number_of_weak_slices_holds_or_is_missed(decided: Make) -> None:
    gates = {"weak_slices": "<= 0"}
    check_gates(gates, Classify(("a", "b")))
    bad = answered(decided, 0, weak=lambda _, others: [one == "mail" for one in others["source"]])
    assert judge(slices.run(bad), gates)[0].passed is False
    assert judge(slices.run(answered(decided, 0)), gates)[0].passed is True


def test_the_first_halves_pick_and_the_other_halves_test() -> None:
    """A part that is bad in the picking half alone is tested, and not found."""
    n = 1000
    picking = np.isin(np.arange(n), np.random.default_rng(0).permutation(n)[: n // 2])
    part = np.arange(n) % 2 == 0
    wrong = part & picking
    wrong[::7] = True
    (tested,) = weak_parts({"even": part}, wrong, seed=0)
    assert not tested.found
    assert tested.p > LEVEL
    assert not (tested.rows & picking).any()


def test_a_planted_weak_cluster_is_found_and_named_by_its_words(decided: Make) -> None:
    draw = np.random.default_rng(0)
    n, subjects = 900, [("card", "stolen"), ("parcel", "late"), ("refund", "money")]
    of = draw.integers(0, 3, n)
    inputs = {"text": [" ".join([*subjects[at], *draw.choice(WORDS, 3).tolist()]) for at in of]}
    right = draw.random(n) < np.where(of == 1, 0.5, 0.9)
    truth = draw.integers(0, 3, n)
    vectors = np.eye(8)[of] + draw.normal(0, 0.05, (n, 8))
    context = decided(truth, np.where(right, truth, (truth + 1) % 3), k=3, inputs=inputs, embed=lambda _: vectors)
    found = clusters.run(context)
    assert found[0].value
    assert all("late" in part or "parcel" in part for part in weak_of(found)), weak_of(found)


def test_too_few_rows_are_not_parted(decided: Make) -> None:
    (found,) = clusters.run(decided([0, 1] * 20, [0, 1] * 20))
    assert found.value is None
    assert found.note == "not run, because 40 rows are too few: 120 are needed"


def test_vectors_that_are_all_alike_are_not_parted(decided: Make) -> None:
    alike = decided([0, 1] * 100, [0, 1] * 100, embed=lambda columns: np.ones((200, 4)))
    (found,) = clusters.run(alike)
    assert (found.value, found.note) == (None, "not run, because the model gives all rows the same vector")


def test_fewer_different_vectors_than_clusters_are_parted_all_the_same(decided: Make) -> None:
    three = decided([0, 1] * 300, [0, 1] * 300, embed=lambda columns: np.eye(3)[np.arange(600) % 3])
    assert clusters.run(three)[0].note.startswith("3 slices looked at")
