"""Answers with one label, or with the reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Candidate:
    """One of the best labels and its probability."""

    label: str
    score: float


def written(candidates: Sequence[Candidate]) -> str:
    """Candidates in one cell of a file: a JSON list.

    >>> written([Candidate("a", 0.5)])
    '[{"label": "a", "score": 0.5}]'
    """
    return json.dumps([asdict(one) for one in candidates], ensure_ascii=False)


@dataclass(frozen=True)
class Label:
    """The label of one row and its probability; no label where ``reason`` says why.

    reason : ``empty``, ``unsure`` (``candidates`` are the labels that may be true) or ``out_of_scope``
    """

    label: str | None
    score: float | None
    reason: str | None = None
    candidates: list[Candidate] | None = None


def strange(answer: Label) -> Label:
    """The answer to a row that is unlike all that was learnt; its candidates are what would have been said."""
    listed = answer.candidates or [Candidate(str(answer.label), float(answer.score or 0.0))]
    return Label(None, None, "out_of_scope", listed)
