"""Bodies and models of answers, from the kinds' own answer types."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from pydantic import ValidationError

from tunewright.core.errors import TunewrightError
from tunewright.kinds._answers import Candidate, Label
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Labels, Multilabel
from tunewright.kinds.regress import Regress, Value
from tunewright.serve.answers import Writer, encode, response_model


@dataclass(frozen=True)
class Span:
    start: int
    end: int


@dataclass(frozen=True)
class Tags:
    """The tags of one row."""

    spans: list[Span]
    notes: list[str] = field(default_factory=list)
    reason: str | None = None


class Tag:
    answer = Tags


ANSWERS = [
    (Classify, Label("a", 0.5), {"label": "a", "score": 0.5}),
    (Classify, Label(None, None, "empty"), {"label": None, "score": None, "reason": "empty"}),
    (
        Classify,
        Label("a", 0.5, None, [Candidate("a", 0.5)]),
        {"label": "a", "score": 0.5, "candidates": [{"label": "a", "score": 0.5}]},
    ),
    (Multilabel, Labels([], []), {"labels": [], "scores": []}),
    (Multilabel, Labels(["a"], [0.9]), {"labels": ["a"], "scores": [0.9]}),
    (Regress, Value(1.5), {"value": 1.5}),
    (Regress, Value(float("nan")), {"value": None}),
    (Tag, Tags([Span(0, 2)]), {"spans": [{"start": 0, "end": 2}], "notes": []}),
]


@pytest.mark.parametrize(("kind", "answer", "body"), ANSWERS)
def test_bodies_fit_their_model_and_leave_out_what_is_none(kind: type, answer: object, body: object) -> None:
    found = Writer("target", kind.answer).body(answer)  # type: ignore[attr-defined]
    encoded = encode([found], "sha256:1")
    (prediction,) = json.loads(encoded)["predictions"]
    assert prediction == {"id": found["id"], "target": "target", **body}  # type: ignore[dict-item]
    model = response_model("bundle", {"target": kind})  # type: ignore[dict-item]
    assert model.model_validate_json(encoded).bundle == "sha256:1"  # type: ignore[attr-defined]


def test_the_model_refuses_what_the_kind_does_not_answer() -> None:
    model = response_model("bundle", {"target": Classify})  # type: ignore[dict-item]
    for wrong in ({"label": "a"}, {"label": 1, "score": 0.5}, {"label": "a", "score": 0.5, "target": "other"}):
        row = {"id": "0" * 32, "target": "target", **wrong}
        with pytest.raises(ValidationError):
            model.model_validate({"predictions": [row], "bundle": "b"})


def test_an_answer_with_a_field_that_all_answers_have_is_an_error() -> None:
    @dataclass
    class Named:
        id: str

    class Kind:
        answer = Named

    with pytest.raises(TunewrightError, match="Named has a field 'id'"):
        response_model("bundle", {"target": Kind})  # type: ignore[dict-item]
