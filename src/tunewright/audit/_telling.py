"""What tells a label without being understood: its name in the text, one word, an id, a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._intervals import wilson
from tunewright.core.types import Array
from tunewright.modalities._pieces import pieces
from tunewright.modalities._strings import encodable

WORD_ROWS = 20_000
FEWEST = 20
"""Rows of a class, below which no word is said to decide it."""
COVERS, PURE = 0.8, 0.9
"""A word decides a class if so many of its rows hold it, and surely so many of the rows that hold it are of it."""
UNIQUE = 0.9
"""Share of different values from which on a column without spaces is taken for an id."""
PREFIXES = (1, 2, 3, 4, 6)


@dataclass(frozen=True)
class Deciding:
    """A word that nearly all rows of a label hold, and hardly any other.

    rows : how many hold it; right : those of the label; of : rows of the label
    """

    word: str
    label: int
    rows: int
    right: int
    of: int


def tidy(text: str) -> str:
    """Small letters, with spaces for what stands between words, also at both ends: whole words can be looked for.

    >>> tidy("Card_Arrival!")
    ' card arrival '
    """
    return f" {' '.join(''.join(one if one.isalnum() else ' ' for one in text.casefold()).split())} "


def named(texts: Sequence[str], truth: Array, labels: Sequence[str]) -> NDArray[np.bool_]:
    """(n,): rows in which the name of their own label stands, and that of no other one.

    truth : int64 (n,) or 0 and 1 (n, k)
    """
    # Han have no spaces between words; a single letter or sign is no name.
    names = [tidy(label) if label.isascii() else tidy(label).strip() for label in labels]
    wanted = [(at, name) for at, name in enumerate(names) if len(name.strip()) > (2 if name.isascii() else 1)]
    own = one_hot(truth, len(labels))
    out = np.zeros(len(texts), bool)
    for row, text in enumerate(map(tidy, texts)):
        standing = [at for at, name in wanted if name in text]
        # Of names that hold one another (``card`` in ``card lost``) the longest counts.
        longest = max((len(names[at]) for at in standing), default=0)
        kept = [at for at in standing if len(names[at]) == longest]
        out[row] = bool(kept) and all(own[row, at] for at in kept)
    return out


def deciding(texts: Sequence[str], truth: Array, classes: int, seed: int) -> tuple[list[Deciding], int, int]:
    """Words that decide a class, the rows that hold one of their own label, and the rows looked at."""
    drawn = np.sort(np.random.default_rng(seed).permutation(len(texts))[:WORD_ROWS])
    own = one_hot(truth, classes)[drawn]
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, at in enumerate(drawn.tolist()):
        for word in _words(texts[at]):
            rows_of[word].append(row)
    of = own.sum(0)
    found: list[Deciding] = []
    told = np.zeros(len(drawn), bool)
    for word, rows in rows_of.items():
        if len(rows) < COVERS * FEWEST:
            continue
        right = own[rows].sum(0)
        for label in np.flatnonzero((right >= COVERS * of) & (of >= FEWEST)).tolist():
            if wilson(right[label], len(rows))[0] >= PURE and of[label] < PURE * len(drawn):
                found.append(Deciding(word, label, len(rows), int(right[label]), int(of[label])))
                told[[row for row in rows if own[row, label]]] = True
    found.sort(key=lambda one: (-one.right / one.of, one.word))
    return found, int(told.sum()), len(drawn)


def one_hot(truth: Array, classes: int) -> NDArray[np.bool_]:
    """bool (n, k)"""
    return np.asarray(truth > 0) if truth.ndim == 2 else np.asarray(truth)[:, None] == np.arange(classes)


def is_id(values: Sequence[Any]) -> bool:
    """Whether a column looks like ids: without spaces, and nearly each value another."""
    texts = [str(value) for value in values if value is not None]
    if len(texts) < FEWEST or any(" " in one or len(one) > 64 for one in texts[:200]):
        return False
    return len(set(texts)) >= UNIQUE * len(texts)


def told_by_id(known: Sequence[Any], truth: Array, asked: Sequence[Any]) -> dict[str, NDArray[np.int64]]:
    """What ids of training rows say of others: rule → labels (n,).

    ``order``: that of the row whose id is nearest, as a number or in the alphabet; ``prefix of p``: the commonest one
    among ids that begin alike, or of all rows.
    """
    common = np.bincount(truth).argmax()
    rules = {"order": _by_order(known, truth, asked)}
    for size in PREFIXES:
        counts: dict[str, list[int]] = defaultdict(list)
        for value, label in zip(known, truth.tolist(), strict=True):
            counts[str(value)[:size]].append(label)
        most = {start: int(np.bincount(labels).argmax()) for start, labels in counts.items()}
        rules[f"prefix of {size}"] = np.array([most.get(str(value)[:size], common) for value in asked], np.int64)
    return rules


def moments(values: Sequence[Any]) -> list[float]:
    """A column of times or numbers, without its empty cells; nothing where one cannot be read."""
    found = [_moment(value) for value in values if value is not None]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else []


def _moment(value: Any) -> float | None:
    """A number, or seconds since 1970; None where it is no time."""
    try:
        if isinstance(value, int | float):
            return float(value)
        found = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def _by_order(known: Sequence[Any], truth: Array, asked: Sequence[Any]) -> NDArray[np.int64]:
    try:
        left, right = (np.array([float(one) for one in values]) for values in (known, asked))
    except (TypeError, ValueError):
        every = {value: at for at, value in enumerate(sorted({*map(str, known), *map(str, asked)}))}
        left, right = (np.array([float(every[str(one)]) for one in values]) for values in (known, asked))
    order = np.argsort(left, kind="stable")
    left, labels = left[order], np.asarray(truth)[order]
    after = np.clip(np.searchsorted(left, right), 0, len(left) - 1)
    before = np.maximum(after - 1, 0)
    return np.asarray(
        np.where(np.abs(left[after] - right) < np.abs(left[before] - right), labels[after], labels[before])
    )


def _words(text: str) -> set[str]:
    text = text.casefold()
    return {text[start:end] for start, end in pieces(text).tolist()} if encodable(text) else set()
