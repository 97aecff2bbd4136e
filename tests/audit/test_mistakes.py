"""The most confident mistakes, in private."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tunewright.audit import Context
from tunewright.audit import mistakes as audit
from tunewright.kinds.multilabel import Multilabel

Make = Callable[..., Context]


def test_wrong_rows_come_surest_first_with_place_and_texts(decided: Make) -> None:
    context = decided([0, 1, 1, 0], [0, 0, 0, 1], [0.99, 0.95, 0.7, 0.8], place=lambda row: f"test.csv line {row + 2}")
    finding = audit.run(context)[0]
    rows = finding.exhibits[0]
    assert finding.value == 0.25
    assert finding.note == "1 rows are wrong with a score of 0.9 or more"
    assert rows.private
    assert [row[:4] for row in rows.rows] == [
        ("test.csv line 3", "secret words of row 1", "c1", "c0"),
        ("test.csv line 5", "secret words of row 3", "c0", "c1"),
        ("test.csv line 4", "secret words of row 2", "c1", "c0"),
    ]


def test_several_labels_are_named_together() -> None:
    truth = np.array([[1, 1], [0, 0]], np.uint8)
    logits = np.array([[3.0, -4.0], [-3.0, 2.0]])
    context = Context(Multilabel(("a", "b"), (0.5, 0.5)), logits, truth, {"text": ["x", "y"]})
    rows = audit.run(context)[0].exhibits[0].rows
    assert [row[:4] for row in rows] == [("row 1", "x", "a, b", "a"), ("row 2", "y", "–", "b")]
    assert audit.run(context)[0].value == 0.5


def test_every_input_column_is_shown(decided: Make) -> None:
    context = decided([1], [0], [0.9], k=2, inputs={"title": ["T"], "body": ["B"]})
    exhibit = audit.run(context)[0].exhibits[0]
    assert exhibit.columns == ("place", "title", "body", "truth", "answer", "score")
    assert exhibit.rows[0][1:3] == ("T", "B")


def test_no_more_than_a_hundred_are_shown(decided: Make) -> None:
    assert len(audit.run(decided([1] * 150, [0] * 150))[0].exhibits[0].rows) == 100
