"""Gates: which finding a name means, what is missed, and what the refusal says."""

from __future__ import annotations

import pytest

from tunewright.audit import check_gates, givers, judge, missed, next_step, refusal
from tunewright.audit._gates import verdicts
from tunewright.core.errors import GateMissed, TunewrightError
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress

FINDINGS = [
    Finding("accuracy", "accuracy", 0.927, 0.917, 0.936, 3080),
    Finding("accuracy", "accuracy", 0.92, 0.91, 0.93, 3000, slice="without leaked rows"),
    Finding("accuracy", "macro_f1", 0.91, 0.90, 0.92, 3080),
    Finding("calibration", "ece", 0.02, 0.0, 0.03, 3080),
    Finding("classes", "worst_class.recall", 0.7, 0.5, 0.85, 40),
]


@pytest.mark.parametrize(
    ("gate", "limit", "at", "told", "passed"),
    [
        ("accuracy", ">= 0.90", 0, ">= 0.90", True),
        ("accuracy", ">= 0.927", 0, ">= 0.927", True),
        ("accuracy", "> 0.927", 0, "> 0.927", False),
        ("accuracy.accuracy", ">= 0.95", 0, ">= 0.95", False),
        ("accuracy.low", ">=0.92", 0, "low >= 0.92", False),
        ("accuracy.high", "< 0.94", 0, "high < 0.94", True),
        ("accuracy.without leaked rows", ">= 0.9", 1, ">= 0.9", True),
        ("accuracy.accuracy.without leaked rows.low", ">= 0.92", 1, "low >= 0.92", False),
        ("ece", "<= 0.05", 3, "<= 0.05", True),
        ("calibration.ece.high", "< 0.03", 3, "high < 0.03", False),
        ("worst_class.recall", ">= 0.8", 4, ">= 0.8", False),
    ],
)
def test_a_gate_sets_limit_and_outcome_on_the_finding_it_names(
    gate: str, limit: str, at: int, told: str, passed: bool
) -> None:
    judged = judge(FINDINGS, {gate: limit})
    assert (judged[at].limit, judged[at].passed) == (told, passed)
    assert [one for one in judged if one.limit] == [judged[at]]


def test_several_gates_on_one_finding_are_joined_and_all_must_hold() -> None:
    judged = judge(FINDINGS, {"accuracy": ">= 0.90", "accuracy.low": ">= 0.92"})
    assert (judged[0].limit, judged[0].passed) == (">= 0.90, low >= 0.92", False)
    assert verdicts(judged[0]) == [("accuracy", ">= 0.90", True), ("accuracy.low", ">= 0.92", False)]
    assert missed(judged) == [judged[0]]


SEVERAL = [
    Finding("accuracy", "accuracy", 0.9, 0.8, 0.95, 100, target="intent"),
    Finding("accuracy", "accuracy", 0.7, 0.6, 0.8, 100, slice="without leaked rows", target="intent"),
    Finding("accuracy", "accuracy", 0.6, 0.5, 0.7, 80, target="tone"),
    Finding("accuracy", "r2", None, note="not run, because there are no rows", target="stars"),
]


@pytest.mark.parametrize(
    ("gate", "limit", "on", "passed"),
    [
        ("intent.accuracy", ">= 0.8", [0], [True]),
        ("tone.accuracy", ">= 0.8", [2], [False]),
        ("accuracy", ">= 0.8", [0, 2], [True, False]),
        ("accuracy.accuracy.low", ">= 0.5", [0, 2], [True, True]),
        ("tone.accuracy.accuracy.high", "<= 0.7", [2], [True]),
        ("intent.accuracy.without leaked rows.low", ">= 0.7", [1], [False]),
        ("stars.r2", ">= 0.1", [3], [False]),
        ("stars.r2.without leaked rows", ">= 0.1", [3], [False]),
    ],
)
def test_of_several_targets_a_gate_names_one_or_holds_for_each(
    gate: str, limit: str, on: list[int], passed: list[bool]
) -> None:
    judged = judge(SEVERAL, {gate: limit})
    assert [at for at, one in enumerate(judged) if one.limit] == on
    assert [judged[at].passed for at in on] == passed


def test_the_refusal_names_the_target() -> None:
    refused = refusal(missed(judge(SEVERAL, {"accuracy": ">= 0.8", "intent.accuracy": ">= 0.95"})))
    assert str(refused).startswith("gate intent.accuracy >= 0.95 is missed: 0.900")
    assert "gate tone.accuracy >= 0.8 is missed: 0.600" in str(refused)
    assert SEVERAL[0].record()["target"] == "intent"
    assert "target" not in FINDINGS[0].record()


def test_gates_of_several_targets_are_known_before_training() -> None:
    kinds = {"intent": Classify, "stars": Regress}
    check_gates({"accuracy": ">= 0.5", "stars.mae": "<= 1", "intent.ece": "<= 0.1", "accuracy.r2": ">= 0"}, kinds)
    with pytest.raises(TunewrightError, match=r"gates\.stars\.accuracy: no audit measures this"):
        check_gates({"stars.accuracy": ">= 0.5"}, kinds)
    with pytest.raises(TunewrightError, match=r"→ did you mean 'stars\.mae'"):
        check_gates({"stars.mea": "<= 1"}, kinds)


def test_no_gates_judge_nothing() -> None:
    assert judge(FINDINGS, {}) == FINDINGS
    assert missed(FINDINGS) == []


def test_an_unknown_gate_is_answered_with_the_nearest() -> None:
    with pytest.raises(TunewrightError) as caught:
        judge(FINDINGS, {"acuracy": ">= 0.9"})
    assert str(caught.value) == "gates.acuracy: no audit measures this → did you mean 'accuracy'?"
    assert caught.value.exit_code == 2


def test_a_name_that_two_audits_share_has_to_be_said_in_full() -> None:
    both = [*FINDINGS, Finding("robustness", "accuracy", 0.8)]
    with pytest.raises(TunewrightError, match=r"accuracy, robustness → write accuracy\.accuracy"):
        judge(both, {"accuracy": ">= 0.9"})
    assert judge(both, {"robustness.accuracy": ">= 0.9"})[-1].passed is False


def test_a_finding_without_a_value_is_missed() -> None:
    silent = Finding("calibration", "ece", None, note="failed: ValueError: no")
    for gate in ("ece", "ece.low", "calibration.ece"):
        judged = judge([FINDINGS[0], silent], {gate: "<= 0.05"})
        assert judged[1].passed is False
    said = str(refusal(missed(judged)))
    assert said == (
        "gate ece <= 0.05 is missed: failed: ValueError: no → "
        "see that the audit calibration can run, or take the gate out"
    )


@pytest.mark.parametrize("gate", ["typo.drop", "robustness.typo.drop"])
def test_what_an_audit_that_failed_might_have_given_is_missed_and_not_unknown(gate: str) -> None:
    findings = [FINDINGS[0], Finding("robustness", "robustness", None, note="failed: OSError: no")]
    assert judge(findings, {gate: "<= 0.1"})[1].passed is False


def test_the_part_of_a_measure_that_failed_is_missed_and_not_unknown() -> None:
    findings = [Finding("accuracy", "accuracy", None, note="failed: no")]
    assert judge(findings, {"accuracy.without leaked rows": ">= 0.9"})[0].passed is False


def test_the_refusal_names_gate_value_interval_n_and_the_next_step() -> None:
    error = refusal(missed(judge(FINDINGS, {"accuracy": ">= 0.95"})), report="out.refused/report.html")
    assert isinstance(error, GateMissed)
    assert error.exit_code == 3
    assert error.problem == "gate accuracy >= 0.95 is missed: 0.927 (95 % interval 0.917–0.936, n = 3,080)"
    assert error.remedy.endswith("(the report: out.refused/report.html)")
    assert "try --method full" in error.remedy


def test_a_limit_inside_the_interval_asks_for_more_rows() -> None:
    judged = missed(judge(FINDINGS, {"accuracy": ">= 0.93"}))
    assert "more test rows" in next_step(judged[0])


def test_every_missed_gate_is_named() -> None:
    said = str(refusal(missed(judge(FINDINGS, {"accuracy": ">= 0.95", "ece": "<= 0.001", "macro_f1": ">= 0.9"}))))
    assert "gate accuracy >= 0.95" in said
    assert "gate ece <= 0.001" in said
    assert "macro_f1" not in said


@pytest.mark.parametrize(
    ("kind", "gate"),
    [
        (Classify, "macro_f1"),
        (Classify, "balanced_accuracy.low"),
        (Classify(("a", "b")), "ece"),
        (Classify, "accuracy.without leaked rows"),
        (Multilabel, "subset_accuracy"),
        (Regress, "rmse"),
        (Regress, "residuals.error_p90"),
    ],
)
def test_gates_are_known_before_training(kind: type, gate: str) -> None:
    check_gates({gate: "<= 1"}, kind)


@pytest.mark.parametrize(
    ("gate", "wanted"),
    [
        ("ece.high", ["calibration"]),
        ("urgency.ece", ["calibration"]),
        ("aurc", ["coverage"]),
        ("calibration.ece", ["calibration"]),
        ("nothing", []),
    ],
)
def test_the_audit_that_gives_what_a_gate_names_is_known(gate: str, wanted: list[str]) -> None:
    assert givers(gate, Classify(("a", "b"))) == wanted


def test_an_audit_that_a_gate_names_itself_is_the_one() -> None:
    assert "folds" in givers("accuracy", Classify(("a", "b")))
    assert givers("accuracy.accuracy", Classify(("a", "b"))) == ["accuracy"]
    assert givers("folds.accuracy", Classify(("a", "b"))) == ["folds"]


@pytest.mark.parametrize(("kind", "gate"), [(Classify, "acuracy"), (Regress, "ece"), (Multilabel, "rmse")])
def test_a_gate_that_no_audit_gives_is_refused_before_training(kind: type, gate: str) -> None:
    with pytest.raises(TunewrightError, match=f"gates.{gate}: no audit measures this"):
        check_gates({gate: "<= 1"}, kind)
