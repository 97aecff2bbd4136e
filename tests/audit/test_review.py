"""Review: who is sent to a person by which rule, what is left, and when nothing can be said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, audit, judge
from tunewright.audit import review as module
from tunewright.audit._intervals import share as interval
from tunewright.core.task import Task
from tunewright.core.types import Finding

Make = Callable[..., Context]


def task(**review: Any) -> Task:
    return Task.model_validate({"review": review})


def by_name(context: Context) -> dict[str, Finding]:
    found = module.run(context)
    names = {f"{one.metric} {one.slice}".strip(): one for one in found}
    assert len(names) == len(found)
    return names


@pytest.fixture
def ten(decided: Make) -> Context:
    """Ten rows; 2, 5 and 9 are wrong; 0–3 are called c1, and the scores rise from 0.51 to 0.96."""
    truth, said = [1, 1, 0, 1, 0, 1, 0, 0, 0, 1], [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    texts = [f"text {at}" for at in range(10)]
    texts[9] = "I call my LAWYER!"
    return decided(truth, said, 0.51 + 0.05 * np.arange(10), k=2, inputs={"text": texts})


def test_shares_by_rule_and_the_accuracy_of_the_rest(ten: Context, decided: Make) -> None:
    rules = task(labels=["c1"], below=0.72, slices={"legal": {"words": ["lawyer"]}})
    found = by_name(replace(ten, task=rules))
    assert found["review_share label c1"].value == 0.4  # rows 0–3
    assert found["review_share score below 0.72"].value == 0.5  # rows 0–4
    assert found["review_share slice legal"].value == 0.1  # row 9
    assert found["review_share no answer"].value == 0.0
    share, met = found["review_share"], np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 1], bool)
    assert (share.value, share.low, share.high, share.n) == (0.6, *interval(met), 10)
    rest = found["unreviewed.accuracy"]  # rows 5–8, of which 5 is wrong
    right = np.array([False, True, True, True])
    assert (rest.value, rest.low, rest.high, rest.n) == (0.75, *interval(right), 4)
    assert "only 4 rows" in rest.note
    assert (found["errors_seen"].value, found["errors_seen"].n) == (2 / 3, 3)  # 2 and 9 of 2, 5, 9
    (table,) = share.exhibits
    assert [row[0] for row in table.rows] == ["label c1", "score below 0.72", "slice legal", "no answer"]
    assert [(row[1], row[5]) for row in table.rows] == [(4, 1), (5, 1), (1, 1), (0, 0)]


def test_a_row_without_a_text_is_for_a_person(ten: Context) -> None:
    inputs = {"text": [" ", *ten.inputs["text"][1:]]}
    found = by_name(replace(ten, inputs=inputs, task=task(labels=["c9"])))
    assert (found["review_share no answer"].value, found["review_share"].value) == (0.1, 0.1)


def test_what_cannot_be_measured_is_said(ten: Context, decided: Make) -> None:
    everything = by_name(replace(ten, task=task(below=1.0)))
    assert everything["unreviewed.accuracy"].note == "not run, because every row goes to a person"
    right = decided([0, 1], [0, 1], task=task(below=0.1))
    assert by_name(right)["errors_seen"].note == "not run, because no row is answered wrongly"


def test_without_rules_it_stays_silent_unless_it_is_asked(ten: Context) -> None:
    plain = replace(ten, task=task())
    assert "review" not in {one.audit for one in audit(plain)}
    asked = audit(plain, only=["review"])
    assert {one.note for one in asked} == {"not run, because the task has no rules of review"}
    gated = Task.model_validate({"gates": {"review_share": "<= 0.2"}})
    found = judge(audit(replace(ten, task=gated)), gated.gates)
    assert [one.passed for one in found if one.metric == "review_share"] == [False]


def test_a_gate_holds_what_goes_out_unseen(ten: Context) -> None:
    ruled = replace(ten, task=task(below=0.72))  # of rows 5–9 two are wrong
    found = judge(audit(ruled), {"unreviewed.accuracy": ">= 0.6"})
    (rest,) = [one for one in found if one.limit]
    assert (rest.value, rest.passed) == (0.6, True)


def test_numbers_have_no_errors_to_see(noisy: Context) -> None:
    if noisy.kind.labels:
        pytest.skip("for numbers")
    names = {one.metric for one in module.run(noisy)}
    assert names == {"review_share", "unreviewed.r2"}
