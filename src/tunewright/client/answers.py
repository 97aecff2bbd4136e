"""What a service answers, as values with names and types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from tunewright.kinds._answers import Candidate


@dataclass(frozen=True)
class Prediction:
    """The answer to one input for one target.

    id : feedback refers to it
    label, score : of a target with one label; None where ``reason`` says why
    labels, scores : of a target with any number of labels
    value : of a target that is a number
    reason : ``empty``, ``unsure`` or ``out_of_scope``, where there is no answer; ``unsure`` with ``labels``: candidates
        may hold as well
    needs_review : whether a person should look; None where the task has no rules of review
    bundle : digest of the bundle that answered
    more : fields of a kind that this client does not know
    """

    id: str
    target: str
    label: str | None = None
    score: float | None = None
    labels: list[str] | None = None
    scores: list[float] | None = None
    value: float | None = None
    reason: str | None = None
    candidates: list[Candidate] | None = None
    needs_review: bool | None = None
    bundle: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, told: Mapping[str, Any], bundle: str) -> Self:
        """One prediction of a response."""
        known = {one.name for one in fields(cls)} - {"more", "bundle", "candidates"}
        listed = told.get("candidates")
        return cls(
            **{name: value for name, value in told.items() if name in known},
            candidates=None if listed is None else [Candidate(one["label"], one["score"]) for one in listed],
            bundle=bundle,
            more={name: value for name, value in told.items() if name not in known | {"candidates"}},
        )


@dataclass(frozen=True)
class Piece:
    """A piece of an input and what it speaks for: characters ``start`` to ``end`` of a column's text."""

    column: str
    start: int
    end: int
    text: str
    weight: float


@dataclass(frozen=True)
class Explanation:
    """What the pieces of an input speak for one label, or for a number; see docs/explain.md."""

    target: str
    label: str | None
    score: float | None
    method: str
    measure: str
    pieces: list[Piece]
    words: int
    asked: int
    r2: float | None = None
    base: float | None = None

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """One explanation of a response."""
        known = {one.name for one in fields(cls)} - {"pieces"}
        names = [one.name for one in fields(Piece)]
        pieces = [Piece(**{name: one[name] for name in names}) for one in told["pieces"]]
        return cls(**{name: value for name, value in told.items() if name in known}, pieces=pieces)


@dataclass(frozen=True)
class Target:
    """One thing that a bundle predicts; ``labels`` counts them."""

    name: str
    kind: str
    labels: int


@dataclass(frozen=True)
class Bundle:
    """One bundle of a service; ``inputs`` says of each column what its values are."""

    name: str
    digest: str
    inputs: Mapping[str, str]
    targets: list[Target]

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """One bundle of a response."""
        targets = [Target(one["name"], one["kind"], one["labels"]) for one in told["targets"]]
        return cls(told["name"], told["digest"], dict(told["inputs"]), targets)


def by_input(predictions: Sequence[Prediction], inputs: int) -> Iterator[Any]:
    """Input by input, its prediction; where there are several targets, a mapping target → prediction."""
    each = len(predictions) // inputs
    for start in range(0, len(predictions), each):
        row = predictions[start : start + each]
        yield row[0] if each == 1 else {one.target: one for one in row}
