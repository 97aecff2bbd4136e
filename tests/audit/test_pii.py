"""Personal data in rows: planted ones are counted by kind and part, never shown, and clean rows have none."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, Training, audit
from tunewright.audit._intervals import wilson
from tunewright.core.task import read_task
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.report.sections import sections

SECRETS = ("ann@example.com", "4111 1111 1111 1111", "+44 20 7946 0958")


def of(context: Context) -> dict[tuple[str, str], Finding]:
    return {(one.metric, one.slice): one for one in audit(context, only=["pii"])}


def context_of(train: list[str], judged: list[str], **settings: Any) -> Context:
    task, _ = read_task(None, {f"privacy.{name}": value for name, value in settings.items()})
    truth = np.zeros(len(train), np.int64)
    inputs = {"text": judged}
    return Context(
        Classify(("a", "b")), inputs=inputs, train=Training({"text": train}, truth), task=task, language="en"
    )


@pytest.fixture
def planted() -> Context:
    """Of 50 training rows 3 hold an address, one of them a card too; of 50 judged rows one holds a number."""
    train = ["where is my card"] * 47 + [f"I am {SECRETS[0]}", SECRETS[0], f"{SECRETS[0]} pays with {SECRETS[1]}"]
    return context_of(train, ["top up failed"] * 49 + [f"call {SECRETS[2]}"])


def test_they_are_counted_by_part_and_kind(planted: Context) -> None:
    found = of(planted)
    shares = {key: (one.value, one.n) for key, one in found.items()}
    assert shares == {
        ("share", ""): (0.04, 100),
        ("unmasked", ""): (0.04, 100),
        ("share", "training rows"): (0.06, 50),
        ("share", "judged rows"): (0.02, 50),
        ("share", "email"): (0.03, 100),
        ("share", "card"): (0.01, 100),
        ("share", "phone"): (0.01, 100),
    }
    low, high = wilson(4, 100)
    assert (found["share", ""].low, found["share", ""].high) == (low, high)


def test_no_value_is_shown_not_even_beside_the_bundle(planted: Context) -> None:
    (section,) = sections(list(of(planted).values()))
    (table,) = section.exhibits
    assert table.rows == (("card", 1, 0), ("email", 3, 0), ("phone", 0, 1))
    (private,) = section.private
    assert ("training row 50", "training rows", "card", "<email> pays with <card>") in private.rows
    assert ("row 50", "judged rows", "phone", "call <phone>") in private.rows
    told = json.dumps([private.rows, [one.record() for one in section.findings]])
    assert not any(secret in told for secret in SECRETS)


def test_what_is_masked_is_not_read(planted: Context) -> None:
    train = planted.train.inputs["text"]
    found = of(context_of(train, planted.inputs["text"], mask=["email", "phone"]))
    assert found["share", ""].value == 0.04
    assert found["unmasked", ""].value == 0.01  # the card


def test_clean_rows_raise_no_alarm(sample_rows: dict[str, list[dict[str, str]]]) -> None:
    for rows in sample_rows.values():
        found = of(context_of([row["text"] for row in rows], [row["text"] for row in rows]))
        assert {one.value for one in found.values()} == {0.0}


def test_everything_it_says_is_there_in_chinese(planted: Context) -> None:
    (section,) = sections(list(of(planted).values()))
    for finding in section.findings:
        assert section.metric(finding.metric)[1] != finding.metric
        if finding.note:
            assert section.say(finding.note)[1] != finding.note
    for column in section.exhibits[0].columns:
        assert section.say(column)[1] != column


def test_without_presidio_names_are_not_looked_for(planted: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.audit._presidio.MODULE", "no_such_module_at_all")
    asked = of(context_of(["I am Ann"], ["I live in Paris"], names=True))
    assert asked["share", ""].note == "names and places were not looked for: presidio-analyzer is not installed"
    assert of(planted)["share", ""].note == "names and places were not looked for"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A module as Presidio's, which knows two words."""
    asked: list[dict[str, Any]] = []

    class AnalyzerEngine:
        def analyze(self, **given: Any) -> list[Any]:
            asked.append(given)
            known = {"Ann": ("PERSON", 0.85), "Paris": ("LOCATION", 0.9), "May": ("PERSON", 0.3)}
            text = given["text"]
            return [
                SimpleNamespace(entity_type=kind, start=text.index(word), end=text.index(word) + len(word), score=score)
                for word, (kind, score) in known.items()
                if word in text
            ]

    module = ModuleType("presidio_analyzer")
    module.AnalyzerEngine = AnalyzerEngine  # type: ignore[attr-defined]
    module.__spec__ = SimpleNamespace(name="presidio_analyzer")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "presidio_analyzer", module)
    return asked


def test_presidio_finds_names_and_places(stand_in: list[dict[str, Any]]) -> None:
    found = of(context_of(["I am Ann of Paris", "in May"], ["hello"], names=True))
    assert found["share", ""].note == "1 of 3 rows hold a name or a place"
    assert stand_in[0] == {"text": "I am Ann of Paris", "language": "en", "entities": ["PERSON", "LOCATION"]}
    (section,) = sections(list(found.values()))
    assert section.private[0].rows == (
        ("training row 1", "training rows", "name", "I am <name> of <place>"),
        ("training row 1", "training rows", "place", "I am <name> of <place>"),
    )
    assert section.say(found["share", ""].note)[1] == "3 行中有 1 行含有姓名或地点"


def test_without_rows_nothing_is_said_to_be_clean() -> None:
    (one, other) = audit(context_of([], []), only=["pii"])
    assert (one.value, other.value) == (None, None)
    assert one.note == "there are no rows"
