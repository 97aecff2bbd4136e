"""Answers of a service, kind by kind: which kind an answer is of, and logits from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from tunewright.core.types import Array
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.pipeline.models.told import log_odds_of, log_of

Answer = Mapping[str, Any]


class Unreadable(Exception):
    """An answer is not of the form that it should have: what is wrong, and in which row of the request."""


class Reader(Protocol):
    """Reads the answers of one target.

    name : the kind's plugin name
    """

    name: str
    kind: Any

    def logits(self, answers: Sequence[Answer]) -> Array:
        """Of n answers, in the coding of ``kind``.

        Raises
        ------
        Unreadable
            An answer is not of this kind.
        """
        ...


def reader_of(answer: Answer) -> Reader:
    """For answers like this one.

    Raises
    ------
    Unreadable
        It is of no known kind, or it lists no candidates to learn the labels from.
    """
    if "value" in answer:
        return Values()
    if "label" in answer:
        return OneLabel(_labels(answer))
    if "labels" in answer:
        return SomeLabels(_labels(answer))
    raise Unreadable(f"the answer for {answer['target']!r} has neither label, labels nor value")


class OneLabel:
    """One label, with the probabilities of all as candidates.

    A service may answer another label than that of the best score, by limits of its own that it does not tell: then the
    answer counts, and its score is raised to the best.
    """

    name = "classify"

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.kind = Classify(labels)

    def logits(self, answers: Sequence[Answer]) -> Array:
        proba = np.stack([self._row(at, one) for at, one in enumerate(answers)])
        for row, answer in zip(proba, answers, strict=True):
            if answer.get("label") in self.kind.labels:
                at = self.kind.labels.index(answer["label"])
                row[at] = row[at] if row.argmax() == at else row.max() * (1 + 1e-9)
        return log_of(proba)

    def _row(self, at: int, answer: Answer) -> Array:
        """Probabilities of one row, equal where it is undecided as empty; what candidates leave out shares the rest."""
        scores = _scores(answer, self.kind.labels, at)
        missing = [label for label in self.kind.labels if label not in scores]
        total = sum(scores.values())
        if (missing and not answer.get("reason")) or total > 1.01 or (not missing and total < 0.99):
            problem = f"of {len(self.kind.labels)} labels it scores {len(scores)}, and they sum to {total:.3g}"
            raise Unreadable(f"row {at}: {problem}")
        rest = max(0.0, 1 - total) / max(len(missing), 1)
        return np.array([scores.get(label, rest) for label in self.kind.labels])


class SomeLabels:
    """Any number of labels. Their thresholds are not told: they are halfway between what was decided and what not."""

    name = "multilabel"

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.kind = Multilabel(labels, (0.5,) * len(labels))
        self._decided = np.ones(len(labels))
        self._left = np.zeros(len(labels))

    def logits(self, answers: Sequence[Answer]) -> Array:
        labels, rows = self.kind.labels, []
        for at, answer in enumerate(answers):
            scores = _scores(answer, labels, at)
            if set(scores) != set(labels) and not answer.get("reason"):
                raise Unreadable(f"row {at}: of {len(labels)} labels it scores {len(scores)}")
            proba = np.array([scores.get(label, 0.0) for label in labels])
            chosen = np.array([label in (answer.get("labels") or ()) for label in labels])
            if answer.get("labels") is not None:
                self._decided = np.where(chosen, np.minimum(self._decided, proba), self._decided)
                self._left = np.where(chosen, self._left, np.maximum(self._left, proba))
            rows.append(proba)
        inside = (self._left < 0.5) & (self._decided >= 0.5)
        cut = np.where(inside, 0.5, (self._left + self._decided) / 2)
        self.kind = replace(self.kind, thresholds=tuple(cut.tolist()))
        return log_odds_of(np.stack(rows))


class Values:
    """A number."""

    name = "regress"

    def __init__(self) -> None:
        self.kind = Regress(0.0, 1.0)

    def logits(self, answers: Sequence[Answer]) -> Array:
        numbers = []
        for at, answer in enumerate(answers):
            value = answer.get("value")
            if value is None and answer.get("reason"):
                value = 0.0
            numbers.append(_number(value, at))
        return np.array(numbers)[:, None]


def _labels(answer: Answer) -> tuple[str, ...]:
    listed = [label for label, _ in _candidates(answer, 0)]
    if len(set(listed)) < 2:
        raise Unreadable("it lists no candidates, from which its labels would be known")
    return tuple(sorted(set(listed)))


def _candidates(answer: Answer, at: int) -> list[tuple[str, Any]]:
    listed = answer.get("candidates") or []
    if not isinstance(listed, list) or not all(
        isinstance(one, dict) and {"label", "score"} <= set(one) for one in listed
    ):
        raise Unreadable(f"row {at}: a candidate has no label, or no score")
    return [(str(one["label"]), one["score"]) for one in listed]


def _scores(answer: Answer, labels: Sequence[str], at: int) -> dict[str, float]:
    """Label → its probability, as the candidates tell."""
    scores = {}
    for label, score in _candidates(answer, at):
        if label not in labels:
            raise Unreadable(f"row {at}: it scores {label!r:.60}, which was no label before")
        scores[label] = _number(score, at)
        if not 0 <= scores[label] <= 1:
            raise Unreadable(f"row {at}: the score {score!r:.20} is no probability")
    return scores


def _number(value: Any, at: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unreadable(f"row {at}: {value!r:.40} is no number")
    return float(value)
