"""Running audits: what is not met is said, what raises is named, the others stand, and rows stay private."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, _run, audit, judge
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify

Make = Callable[..., Context]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Add an audit under a name, beside those that are there."""

    def add(name: str, run: Callable[[Context], Any], **more: Any) -> None:
        module = ModuleType(name)
        module.__dict__.update({"NEEDS": frozenset(), "KINDS": None, "run": run, **more})
        names, load = plugins.names("audits"), plugins.load
        monkeypatch.setattr(_run, "names", lambda folder: [*names, name])
        monkeypatch.setattr(_run, "load", lambda folder, one: module if one == name else load(folder, one))

    return add


def test_every_audit_that_suits_the_kind_runs(noisy: Context) -> None:
    found = {finding.audit for finding in audit(noisy)}
    plugin = {name: plugins.load("audits", name) for name in plugins.names("audits")}
    asked_for = {name for name, one in plugin.items() if getattr(one, "ON_REQUEST", False)}
    assert asked_for == {"compare", "compress", "folds", "shadow"}
    costly = {name for name, one in plugin.items() if getattr(one, "COSTLY", False)}
    suited = {name for name, one in plugin.items() if _run.suits(one, noisy.kind)}
    unwanted = {name for name, one in plugin.items() if hasattr(one, "wanted") and not one.wanted(noisy)}
    assert found == suited - asked_for - costly - unwanted
    assert {finding.audit for finding in audit(noisy, costly=True)} == suited - asked_for


def test_only_the_named_ones_run(noisy: Context) -> None:
    assert {finding.audit for finding in audit(noisy, only=["accuracy"])} == {"accuracy"}


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(TunewrightError, match=r"there is no audit 'acuracy' → did you mean 'accuracy'\?"):
        audit(Context(Classify(("a", "b"))), only=["acuracy"])


def test_a_named_audit_for_another_kind_says_so(decided: Make) -> None:
    (finding,) = audit(decided([0, 1], [0, 1]), only=["residuals"])
    assert (finding.value, finding.note) == (None, "not run, because it is for regress")


def test_needs_that_are_not_met_are_said_for_every_measure(decided: Make) -> None:
    context = decided([0, 1], [0, 1], inputs=None)
    (finding,) = audit(context, only=["mistakes"])
    assert finding.metric == "confident_mistakes"
    assert finding.value is None
    assert finding.passed is None
    assert finding.note == "not run, because the inputs themselves are not at hand"


def test_rows_without_labels_leave_every_audit_unrun_and_none_passed() -> None:
    context = Context(Classify(("a", "b")), [[0.1, 0.2]])
    found = audit(context)
    needing = {name for name in plugins.names("audits") if "truth" in plugins.load("audits", name).NEEDS}
    assert {"accuracy", "calibration"} <= needing & {finding.audit for finding in found}
    for finding in found:
        assert not finding.passed
        if finding.audit in needing:
            assert finding.value is None
            assert "the rows have no labels" in finding.note


def test_no_rows_at_all_is_said() -> None:
    for finding in audit(Context(Classify(("a", "b")), [], []), only=["accuracy"]):
        assert finding.note == "not run, because there are no rows"


def test_an_audit_that_raises_is_named_and_the_others_stand(decided: Make, plant: Callable[..., None]) -> None:
    def broken(context: Context) -> list[Finding]:
        raise ValueError("the third moment is negative")

    plant("broken", broken, metrics=lambda kind: ("skew",))
    context = decided([0, 1] * 20, [0, 1] * 20)
    findings = audit(context)
    failed = next(finding for finding in findings if finding.audit == "broken")
    assert failed.metric == "skew"
    assert failed.note.startswith("failed: ValueError: the third moment is negative (test_run.py line ")
    assert next(finding for finding in findings if finding.metric == "accuracy").value == 1.0
    assert next(one for one in judge(findings, {"skew": "<= 1"}) if one.metric == "skew").passed is False


@pytest.mark.parametrize(
    "message", ["bad text: secret words of row 1", "could not convert 'row 1'", "cannot parse words of row 1!"]
)
def test_a_failure_never_tells_a_row(decided: Make, plant: Callable[..., None], message: str) -> None:
    def broken(context: Context) -> list[Finding]:
        raise KeyError(message)

    plant("broken", broken)
    failed = next(finding for finding in audit(decided([0, 1], [0, 1])) if finding.audit == "broken")
    assert "row 1" not in failed.note
    assert "KeyError: (the message holds a row, so it is not shown)" in failed.note


def test_findings_carry_the_name_of_their_audit(decided: Make, plant: Callable[..., None]) -> None:
    plant("mine", lambda context: [Finding("someone else", "x", 1.0)])
    assert audit(decided([0, 1], [0, 1]), only=["mine"])[0].audit == "mine"


def test_a_file_in_the_folder_is_an_audit_and_one_with_an_underscore_is_not() -> None:
    folder = Path(_run.__file__).parent
    public = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert public <= set(plugins.names("audits"))
    assert not [name for name in plugins.names("audits") if name.startswith("_")]


@pytest.mark.parametrize("name", ["fairness", "out_of_scope"])
def test_a_fit_is_silent_on_what_the_task_does_not_ask_for_and_the_verb_is_not(name: str) -> None:
    context = Context(Classify(("a", "b")), np.eye(2, dtype=np.float32), np.array([0, 1]), {"text": ["x", "y"]})
    assert not [one for one in audit(context) if one.audit == name]
    told = [one.note for one in audit(context, costly=True) if one.audit == name]
    assert told
    assert all(note.startswith("not run, because ") for note in told)
