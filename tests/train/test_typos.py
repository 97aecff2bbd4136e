"""Training rows with typing errors: how many are added, with which labels, and what cannot be mistyped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task
from tunewright.train.examples import Part
from tunewright.train.typos import mistyped

TEXTS = [f"where is parcel number {at} of mine" for at in range(40)]


class Run:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, event: str, say: str) -> None:
        self.said.append(say)


def task(share: float) -> Task:
    return Task.model_validate({"fit": {"typos": share}})


def part(texts: list[Any]) -> Part:
    return Part({"text": texts}, list(range(len(texts))), weights=np.arange(len(texts), dtype=np.float64))


def test_a_share_of_the_rows_comes_once_more_with_an_error_and_its_own_label_and_weight() -> None:
    run, rows = Run(), part(TEXTS)
    more = mistyped(task(0.25), rows, "en", run)  # type: ignore[arg-type]
    assert len(more.truth) == 50
    assert more.inputs["text"][:40] == TEXTS
    assert more.weights is not None
    for text, truth, weight in zip(more.inputs["text"][40:], more.truth[40:], more.weights[40:], strict=True):
        assert weight == truth
        assert text != TEXTS[truth]
    assert len(set(more.truth[40:])) == 10
    assert run.said == ["fit.typos: 10 of 40 training rows are added with typing errors"]
    assert mistyped(task(0.25), rows, "en", run).inputs == more.inputs  # type: ignore[arg-type]


def test_none_are_added_unless_it_is_asked_for() -> None:
    rows = part(TEXTS)
    assert mistyped(task(0.0), rows, "ko", Run()) is rows  # type: ignore[arg-type]


def test_chinese_rows_get_characters_of_like_sound_or_shape() -> None:
    texts = ["我的订单还没有到请问什么时候发货"] * 20
    more = mistyped(task(1.0), part(texts), "zh", Run())  # type: ignore[arg-type]
    added = more.inputs["text"][20:]
    assert len(added) == 20
    assert all(len(text) == len(texts[0]) and text != texts[0] for text in added)


@pytest.mark.parametrize(
    ("texts", "language", "problem"),
    [
        (TEXTS, "ko", r"fit.typos: there are no typing errors for the language of the rows \(ko\) → leave it out"),
        (["a", "to be"], "en", "fit.typos finds no word in the training rows that it could mistype → leave it out"),
        ([1.0, 2.0], "en", "fit.typos finds no word in the training rows that it could mistype → leave it out"),
    ],
)
def test_what_cannot_be_mistyped_is_refused(texts: list[Any], language: str, problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        mistyped(task(1.0), part(texts), language, Run())  # type: ignore[arg-type]
