"""How each fault is planted: a draw and a size → what audits get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from faulty.world import FILLER, LABELS, PERSONS, REGIONS, TOPICS, Rows, World, judged
from tunewright.audit import Context

LEARNT_BY_HEART = 6.0
"""Logits by which a row that is known by heart is surer."""


def leaked(drawn: World, share: float) -> Context:
    """Judged rows that are training rows."""
    return _repeated(drawn, share, lambda text, word: text)


def twins(drawn: World, share: float) -> Context:
    """Judged rows that are training rows with one word more and other signs."""
    return _repeated(drawn, share, lambda text, word: f"{text.capitalize()}, {word}!")


def _repeated(drawn: World, share: float, change: Callable[[str, str], str]) -> Context:
    """Training rows, changed, in the place of judged ones; each with a word drawn for it."""
    dice, rows, train = drawn.dice, drawn.judged, drawn.train
    texts, truth = {}, rows.truth.copy()
    for row in _some(dice, len(rows), share):
        known = int(dice.integers(0, len(train)))
        texts[row], truth[row] = change(train.text[known], str(dice.choice(FILLER))), train.truth[known]
    return judged(replace(drawn, judged=replace(rows.with_texts(texts), truth=truth)), drawn.model)


def swapped(drawn: World, n: int) -> Context:
    """The first two labels have changed places in the bundle; n rows are judged."""
    return _reordered(drawn, n, [1, 0, *range(2, len(LABELS))])


def shuffled(drawn: World, n: int) -> Context:
    """Every label stands one place further on than the logits have it; n rows are judged."""
    return _reordered(drawn, n, [*range(1, len(LABELS)), 0])


def _reordered(drawn: World, n: int, order: list[int]) -> Context:
    model = drawn.model
    return judged(replace(drawn, judged=drawn.judged.first(n)), model, lambda columns: model(columns)[:, order])


def mislabelled(drawn: World, share: float) -> Context:
    """Rows of one region that bear another label, where they are learnt from and where they are judged."""
    dice = drawn.dice

    def wrong(rows: Rows) -> Rows:
        of = np.array(rows.others["region"]) == REGIONS[1]
        moved = of & (dice.random(len(rows)) < share)
        return replace(rows, truth=(rows.truth + moved * dice.integers(1, len(LABELS), len(rows))) % len(LABELS))

    return judged(replace(drawn, train=wrong(drawn.train), judged=wrong(drawn.judged)))


def dropped(drawn: World, share: float) -> Context:
    """Rows of the third class that are missing from training and from calibration."""
    dice = drawn.dice

    def without(rows: Rows) -> Rows:
        return rows.where((rows.truth != 2) | (dice.random(len(rows)) >= share))

    return judged(replace(drawn, train=without(drawn.train), held=without(drawn.held)))


def miscalibrated(drawn: World, factor: float) -> Context:
    """Logits so many times as large as they were when scores were calibrated."""
    model = drawn.model
    return judged(drawn, model, lambda columns: factor * model(columns))


def fragile(drawn: World, logits: float) -> Context:
    """A head that takes each word that it does not know for a sign of the first class, by so many logits."""
    model = drawn.model

    def ask(columns: Any) -> Any:
        unknown = np.array([sum(word not in model.known for word in text.lower().split()) for text in columns["text"]])
        return model(columns) + np.float32(logits) * unknown[:, None] * np.eye(len(LABELS), dtype=np.float32)[0]

    return judged(drawn, model, ask)


def personal(drawn: World, share: float) -> Context:
    """Rows with an e-mail address or a phone number, in training and among those that are judged."""
    dice = drawn.dice

    def told(rows: Rows) -> Rows:
        at = _some(dice, len(rows), share)
        said = ("write to ann.{}@example.com", "call +1 212 555 0{}")
        return rows.with_texts({row: f"{rows.text[row]} {said[row % 2].format(100 + row % 900)}" for row in at})

    return judged(replace(drawn, train=told(drawn.train), judged=told(drawn.judged)))


def by_heart(drawn: World, share: float) -> Context:
    """A model that is very sure of some of its training rows, whatever it would say of them otherwise."""
    model, train = drawn.model, drawn.train
    known = {train.text[row]: int(train.truth[row]) for row in _some(drawn.dice, len(train), share)}

    def ask(columns: Any) -> Any:
        at = [known.get(text, -1) for text in columns["text"]]
        return model(columns) + np.float32(LEARNT_BY_HEART) * (np.array(at)[:, None] == np.arange(len(LABELS)))

    return judged(drawn, model, ask)


def numbered(drawn: World, share: float) -> Context:
    """Tickets that were numbered class by class."""
    dice = drawn.dice

    def ordered(rows: Rows) -> Rows:
        tickets = list(rows.others["ticket"])
        for row in _some(dice, len(rows), share):
            tickets[row] = f"{int(rows.truth[row]) * 1_000_000 + int(dice.integers(0, 1_000_000)):07d}"
        return replace(rows, others={**rows.others, "ticket": tickets})

    return judged(replace(drawn, train=ordered(drawn.train), judged=ordered(drawn.judged)))


def named(drawn: World, share: float) -> Context:
    """Rows in which the name of their label stands."""
    dice = drawn.dice

    def told(rows: Rows) -> Rows:
        at = _some(dice, len(rows), share)
        return rows.with_texts({row: f"{LABELS[rows.truth[row]]}: {rows.text[row]}" for row in at})

    return judged(replace(drawn, train=told(drawn.train), judged=told(drawn.judged)))


def garbled(drawn: World, share: float) -> Context:
    """Rows of one source whose telling words cannot be read."""
    dice, rows = drawn.dice, drawn.judged
    telling = {word for words in TOPICS for word in words}
    texts = {
        row: " ".join("xx" if word in telling else word for word in text.split())
        for row, (text, source) in enumerate(zip(rows.text, rows.others["source"], strict=True))
        if (dice.random() < share) and source == "fax"
    }
    return judged(replace(drawn, judged=rows.with_texts(texts)), drawn.model)


def prejudiced(drawn: World, logits: float) -> Context:
    """A model that takes every second word for a person for a sign of the first class, by so many logits."""
    model, told = drawn.model, {word.lower() for word in PERSONS[::2]}

    def ask(columns: Any) -> Any:
        held = np.array([sum(word in told for word in text.lower().split()) for text in columns["text"]])
        return model(columns) + np.float32(logits) * held[:, None] * np.eye(len(LABELS), dtype=np.float32)[0]

    return judged(drawn, model, ask)


def _some(dice: np.random.Generator, n: int, share: float) -> list[int]:
    return np.flatnonzero(dice.random(n) < share).tolist()
