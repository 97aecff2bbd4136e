"""Alarms: what lies beyond a default limit with its whole interval is shown, and refuses nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunewright.audit import Context, alarms, audit, judge
from tunewright.audit._alarms import ALARMS
from tunewright.audit._run import promised
from tunewright.core.types import Finding
from tunewright.pipeline.audit import Audited
from tunewright.report.html import page
from tunewright.report.record import record
from tunewright.report.words import translate

TWINS = Finding("leakage", "near_twins", 0.1, 0.07, 0.14, 400)


def test_the_nearer_end_of_the_interval_decides() -> None:
    assert [(one.finding, one.limit) for one in alarms([TWINS])] == [(TWINS, "low > 0.01")]
    assert alarms([replace(TWINS, low=0.01)]) == []
    assert alarms([replace(TWINS, value=None, low=None)]) == []
    worst = Finding("classes", "worst_class.recall", 0.2, 0.1, 0.49, 30)
    assert [one.limit for one in alarms([worst])] == ["high < 0.5"]
    assert alarms([replace(worst, high=0.5)]) == []


def test_a_limit_may_be_another_finding_of_the_same_target() -> None:
    found = [
        Finding("accuracy", "accuracy", 0.1, 0.05, 0.15, 200, target="topic"),
        Finding("accuracy", "baseline.accuracy", 0.3, target="mood"),
    ]
    assert alarms(found) == []  # the baseline of the other target says nothing
    found.append(Finding("accuracy", "baseline.accuracy", 0.2, target="topic"))
    assert [(one.finding.name, one.limit) for one in alarms(found)] == [("topic.accuracy", "high < 0.2")]
    assert alarms([found[0], replace(found[2], value=None)]) == []


def test_parts_of_the_rows_are_left_out_but_for_columns_of_groups() -> None:
    assert alarms([replace(TWINS, slice="length: 3–9 characters")]) == []
    gap = Finding("fairness", "group_gap", 0.2, 0.1, 0.3, 400, slice="region")
    assert [one.finding for one in alarms([gap])] == [gap]


@pytest.mark.parametrize("limit", ["<= 0.05", "<= 0.5"])
def test_a_gate_takes_the_place_of_the_alarm(limit: str) -> None:
    assert alarms(judge([TWINS], {"near_twins": limit})) == []


def test_an_alarm_refuses_nothing() -> None:
    told = Audited([TWINS], "", {"digest": "sha256:x"}, 0)
    assert [one.finding for one in told.alarms] == [TWINS]
    assert told.missed == []
    assert told.refusal is None
    assert told.record["alarms"] == [
        {
            "audit": "leakage",
            "metric": "near_twins",
            "slice": "",
            "limit": "low > 0.01",
            "why": "the score is partly learnt by heart",
        }
    ]


def test_the_report_shows_them_in_both_languages() -> None:
    about = {"name": "x", "targets": [{"name": "y", "kind": "classify", "labels": ["a", "b"]}]}
    told = record(about, [TWINS])
    assert [one["metric"] for one in told["alarms"]] == ["near_twins"]
    shown = page(told, [TWINS])
    head = "Looks wrong, though no gate asks for it"
    for text in (head, translate(head), *alarms([TWINS])[0].why, "low &gt; 0.01"):
        assert text in shown
    assert translate(head) != head
    assert head not in page(record(about, [replace(TWINS, low=0.0)]), [replace(TWINS, low=0.0)])


def test_every_limit_is_on_something_that_an_audit_gives(noisy: Context) -> None:
    """Of any kind: checked by the names that the audits promise for it."""
    rules = {one.audit for one in ALARMS}
    given = {(name, metric) for name in rules for metric in promised(name, noisy.kind)}
    assert {(one.audit, one.metric) for one in ALARMS} & given
    assert given >= {
        (one.audit, one.limit) for one in ALARMS if isinstance(one.limit, str) and (one.audit, one.metric) in given
    }
    if noisy.kind_name == "classify":
        assert {(one.audit, one.metric) for one in ALARMS} - given == {("accuracy", "micro_f1"), ("accuracy", "r2")}


def test_answers_in_another_order_are_worse_than_one_constant_answer(noisy: Context) -> None:
    if noisy.kind_name != "classify":
        pytest.skip("for single labels")
    moved = replace(noisy, logits=noisy.logits[:, [1, 2, 3, 0]])
    assert alarms(audit(noisy, only=["accuracy"])) == []
    assert [one.finding.metric for one in alarms(audit(moved, only=["accuracy"]))] == ["accuracy"]
