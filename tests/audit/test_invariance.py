"""Tests of behaviour: a model that listens to names or gets surer by a denial is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, audit, judge
from tunewright.audit._intervals import wilson
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.report.sections import sections

ENGLISH = [f"Anna from {('Paris', 'Berlin')[at % 2]} said that order {at + 10} is good" for at in range(60)]
CHINESE = [f"王女士说{('北京', '上海')[at % 2]}的酒店很干净，住了{at + 10}天" for at in range(60)]


def context_of(odds: Callable[[str], float], texts: list[str], language: str, **more: Any) -> Context:
    def ask(columns: Any) -> Any:
        found = np.array([odds(text) for text in columns["text"]])
        return np.stack([-found, found], 1)

    inputs = {"text": texts}
    logits = ask(inputs)
    kind = Classify(("bad", "good"))
    return Context(kind, logits, kind.decide(logits), inputs, ask=ask, language=language, **more)


def found(context: Context) -> dict[str, Finding]:
    return {one.metric: one for one in audit(context, ["invariance"])}


@pytest.mark.parametrize(("language", "texts"), [("en", ENGLISH), ("zh", CHINESE)])
def test_a_model_that_listens_to_nothing_passes(language: str, texts: list[str]) -> None:
    given = found(context_of(lambda text: 0.5, texts, language))
    assert {name: one.value for name, one in given.items()} == dict.fromkeys(
        [f"{name}.failures" for name in ("number", "person", "place", "negation", "intensifier")], 0.0
    )
    assert all((one.n, one.low, one.high) == (60, *wilson(0, 60)) for one in given.values())
    assert all(one.note == "only 60 rows are changed by it" for one in given.values())


@pytest.mark.parametrize(
    ("metric", "language", "odds", "clean"),
    [
        ("person", "en", lambda text: 1.0 if "Anna" in text else -1.0, "place"),
        ("place", "en", lambda text: 1.0 if "Paris" in text else -1.0, "person"),
        ("number", "en", lambda text: 1.0 if any(f" {at} " in text for at in range(40, 99)) else -1.0, "person"),
        ("negation", "en", lambda text: 2.0 if " not " in text else 0.5, "intensifier"),
        ("intensifier", "en", lambda text: 0.2 if "really" in text else 1.5, "negation"),
        ("person", "zh", lambda text: 1.0 if "王" in text else -1.0, "number"),
        ("place", "zh", lambda text: 1.0 if "北京" in text else -1.0, "negation"),
        ("negation", "zh", lambda text: 2.0 if "不" in text else 0.5, "place"),
        ("intensifier", "zh", lambda text: 0.1 if "非常" in text else 1.5, "place"),
    ],
)
def test_each_test_catches_its_fault_and_no_other(
    metric: str, language: str, odds: Callable[[str], float], clean: str
) -> None:
    given = found(context_of(odds, ENGLISH if language == "en" else CHINESE, language))
    assert given[f"{metric}.failures"].low > 0.1  # type: ignore[operator]
    assert given[f"{clean}.failures"].value == 0
    (passed,) = [
        one.passed for one in judge([*given.values()], {f"invariance.{metric}.failures": "<= 0.1"}) if one.limit
    ]
    assert passed is False


def test_a_score_may_move_the_right_way_and_a_little_the_wrong_way() -> None:
    right = found(context_of(lambda text: -2.0 if " not " in text else 0.5, ENGLISH, "en"))
    assert right["negation.failures"].value == 0
    little = found(context_of(lambda text: 0.55 if " not " in text else 0.5, ENGLISH, "en"))
    assert little["negation.failures"].value == 0


@pytest.mark.parametrize(
    ("change", "metric", "note"),
    [
        ({"language": "ko"}, "person", "not run, because it has no words for texts in 'ko'"),
        ({"scores": False}, "negation", "not run, because the model gives labels without scores"),
        ({"ask": None}, "place", "not run, because there is no model at hand to ask"),
        ({"inputs": {"text": ["nothing here"] * 60}}, "person", "not run, because only 0 rows are changed by it"),
    ],
)
def test_what_it_cannot_measure_it_says(change: dict[str, Any], metric: str, note: str) -> None:
    given = found(replace(context_of(lambda text: 0.5, ENGLISH, "en"), **change))[f"{metric}.failures"]
    assert (given.value, given.note) == (None, note)


def test_the_failures_are_shown_privately_and_all_is_there_in_chinese() -> None:
    given = audit(context_of(lambda text: 1.0 if "Anna" in text else -1.0, ENGLISH, "en"), ["invariance"])
    section = sections(given)[0]
    assert not section.exhibits
    (private,) = section.private
    assert {row[0] for row in private.rows} == {"person"}
    assert all("Anna" in row[2] and "Anna" not in row[3] for row in private.rows)
    for finding in given:
        assert section.metric(finding.metric)[1] != finding.metric
        assert section.say(finding.note)[1] != finding.note
    assert section.say(private.title)[1] != private.title
