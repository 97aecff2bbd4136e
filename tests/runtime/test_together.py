"""Questions answered together: one pass for several bundles, and what each of them would have said alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array
from tunewright.runtime.encoder import Encoder
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.shelf import Shelf
from tunewright.runtime.together import Pass, Question

Siblings = Callable[[int], list[Path]]


@dataclass(eq=False)
class Counted:
    """A graph that counts the rows it is asked for."""

    graph: Any
    rows: list[int] = field(default_factory=list)

    def __call__(self, arrays: Any) -> dict[str, Array]:
        self.rows.append(len(next(iter(arrays.values()))))
        out: dict[str, Array] = self.graph(arrays)
        return out


@pytest.fixture
def three(siblings: Siblings) -> list[Predictor]:
    shelf = Shelf()
    return [Predictor.load(folder, 1, shelf) for folder in siblings(3)]


def near(found: Any, alone: Any) -> bool:
    """The same decisions, and scores but for the rounding of another batch."""
    pairs = zip(found["label"], alone["label"], strict=True)
    return all(
        (one.label, one.reason) == (other.label, other.reason)
        and (one.score == other.score or abs(one.score - other.score) < 1e-5)
        for one, other in pairs
    )


def test_each_bundle_answers_as_it_does_alone(three: list[Predictor], texts: list[str]) -> None:
    cuts = [texts[:40], texts[20:60], texts[60:], texts[:5]]
    asked = [*three, three[0]]
    found = Pass([Question(one, [rows], top=at) for at, (one, rows) in enumerate(zip(asked, cuts, strict=True))])
    for at, answers in enumerate(found.answers()):
        assert near(answers, asked[at].answers(cuts[at], at))
    assert found.cost > len(texts)


def test_a_row_is_encoded_once_however_many_bundles_are_asked(three: list[Predictor]) -> None:
    encoder = Encoder(three[0].modality, Counted(three[0].encoder.graph))  # type: ignore[arg-type]
    heads = []
    for one in three:
        heads.append(Counted(one.network.heads["head.label"]))
        one.network = replace(one.network, encoder=encoder, heads={"head.label": heads[-1]})  # type: ignore[dict-item]
    rows = [["where is my order", "i want a refund", "where is my order"], ["i want a refund"], ["my card"]]
    found = Pass([Question(one, [own]) for one, own in zip(three, rows, strict=True)]).answers()
    assert sum(encoder.graph.rows) == 3  # type: ignore[attr-defined]
    assert [sum(one.rows) for one in heads] == [2, 1, 1]
    assert found[0]["label"][0] == found[0]["label"][2]


def test_long_texts_own_several_windows(three: list[Predictor], texts: list[str]) -> None:
    long = " ".join(texts)
    rows = ["a refund", long, "", long + " my card"]
    assert len(three[0].modality.windows([rows])) > 10
    found = Pass([Question(three[0], [rows]), Question(three[1], [rows[::-1]])]).answers()
    assert near(found[0], three[0].answers(rows))
    assert near(found[1], three[1].answers(rows[::-1]))
    assert found[0]["label"][2].reason == "empty"


def test_a_rate_that_no_bundle_promises_is_told_before_anything_is_computed(three: list[Predictor]) -> None:
    three[0].network = replace(three[0].network, encoder=Encoder(three[0].modality, None))  # type: ignore[arg-type]
    three[0].kinds = {"label": object()}  # type: ignore[dict-item]
    with pytest.raises(TunewrightError, match="no target of this bundle can promise"):
        Pass([Question(three[0], [["a"]], error=0.1)])


def test_the_windows_of_rows(predictor: Predictor, texts: list[str]) -> None:
    rows = ["a refund", " ".join(texts), "my card"]
    windows = predictor.modality.windows([rows])
    assert windows.take_rows(np.arange(3)) is windows
    some = windows.take_rows(np.array([2, 1]))
    alone = predictor.modality.windows([[rows[2], rows[1]]])
    assert some.rows == 2
    assert some.owner.tolist() == alone.owner.tolist()
    assert some.cost.tolist() == alone.cost.tolist()
    assert [one.tolist() for one in some.data["input_ids"]] == [one.tolist() for one in alone.data["input_ids"]]
    assert some.spans is not None
    assert alone.spans is not None
    assert some.spans.values.tolist() == alone.spans.values.tolist()
