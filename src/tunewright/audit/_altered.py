"""Rows whose texts were changed, and what the model answers then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Columns, Context
from tunewright.core.types import Array, Kind
from tunewright.data.changes import changed, fits

ROWS = 300
"""Rows that are changed in one way at most, drawn by the seed."""
FEWEST = 10
"""Changed rows below which nothing is said."""
SMALL = 100
"""Changed rows below which a finding says that they are few."""

Change = Callable[[str, int], str]
"""A text and its row → the text changed, or as it is."""


@dataclass(frozen=True)
class Altered:
    """m rows asked anew.

    rows : int64 (m,), which rows of the context they are
    columns : column → m values, some of them changed
    logits : what the model gives now
    """

    context: Context
    rows: NDArray[np.int64]
    columns: Columns
    logits: Array

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def before(self) -> Array:
        return np.asarray(self.context.decided[self.rows])

    @cached_property
    def after(self) -> Array:
        return self.context.kind.decide(self.logits)

    @cached_property
    def flipped(self) -> NDArray[np.bool_]:
        """bool (m,): the answer is another one."""
        return ~same(self.before, self.after)

    @cached_property
    def right(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Bool (m,) before and after: answered as it is true; None where the truth is not known."""
        if self.context.truth is None:
            return None
        truth = np.asarray(self.context.truth)[self.rows]
        return same(self.before, truth), same(self.after, truth)

    @cached_property
    def fallen(self) -> NDArray[np.float64]:
        """float64 (m,): by how much the score of the first answer fell; below 0 where it rose."""
        kind = self.context.kind
        was = score_of(kind, self.context.logits[self.rows], self.before)
        return was - score_of(kind, self.logits, self.before)


def same(one: Array, other: Array) -> NDArray[np.bool_]:
    """bool (n,): rows with the same answer, or the same set of labels."""
    alike = np.asarray(one) == np.asarray(other)
    return np.asarray(alike.reshape(len(alike), -1).all(1))


def score_of(kind: Kind, logits: Array, decided: Array) -> NDArray[np.float64]:
    """(n,): the score of an answer, whether it is the best one or not; of several labels, of the least sure yes or no.

    decided : (n,) or (n, k), in the kind's own coding
    """
    proba = np.asarray(kind.proba(logits), np.float64)
    if decided.ndim == 2:
        return np.asarray(np.where(decided > 0, proba, 1 - proba).min(1))
    return np.asarray(proba[np.arange(len(decided)), decided])


def text_columns(inputs: Columns) -> list[str]:
    """The columns that hold texts; other modalities have changes of their own."""
    return [name for name, values in inputs.items() if values and all(isinstance(one, str | None) for one in values)]


def unfit(name: str, context: Context) -> str:
    """Why a change of ``data/changes`` cannot be made to these rows; empty if it can."""
    if not context.language:
        return "not run, because the language is not known"
    if not fits(name, context.language):
        return f"not run, because it has no words for texts in {context.language!r}"
    return "" if text_columns(context.inputs) else "not run, because no input is a text"


def change_of(name: str, seed: int) -> Change:
    """A change of ``data/changes``, each row by draws of its own."""
    return lambda text, row: changed(name, text, seed, row)


def altered(context: Context, change: Change, most: int = ROWS) -> Altered:
    """At most so many rows that a change finds something in, drawn by the seed and asked anew in one call."""
    columns, rows = text_columns(context.inputs), []
    found: dict[str, list[Any]] = {name: [] for name in context.inputs}
    for row in np.random.default_rng(context.seed).permutation(context.rows).tolist():
        old = {name: values[row] for name, values in context.inputs.items()}
        new = {name: change(old[name], row) for name in columns if old[name]}
        if any(new[name] != old[name] for name in new):
            rows.append(row)
            for name, value in (old | new).items():
                found[name].append(value)
        if len(rows) == most:
            break
    logits = context.ask(found) if rows else context.logits[:0]
    return Altered(context, np.array(rows, np.int64), found, np.asarray(logits))


def named(kind: Kind, decided: Any) -> str:
    """An answer in words."""
    if np.ndim(decided):
        return ", ".join(kind.labels[at] for at in np.flatnonzero(decided)) or "–"
    return kind.labels[int(decided)]


def shown(one: Altered, at: Sequence[int], way: str) -> list[tuple[Any, ...]]:
    """Rows of a private table: the change, the place, the texts before and after, and the answers."""
    context = one.context
    names = text_columns(context.inputs)
    return [
        (
            way,
            context.place(int(one.rows[m])),
            "\n".join(context.inputs[name][one.rows[m]] or "" for name in names),
            "\n".join(one.columns[name][m] or "" for name in names),
            "" if context.truth is None else named(context.kind, context.truth[one.rows[m]]),
            named(context.kind, one.before[m]),
            named(context.kind, one.after[m]),
            float(one.fallen[m]),
        )
        for m in at
    ]


SHOWN = ("change", "place", "before", "after", "truth", "answer before", "answer after", "score lost")
"""Columns of ``shown``."""


def few(n: int) -> str:
    """A remark on small numbers."""
    return f"only {n} rows are changed by it" if n < SMALL else ""


ZH = {
    "not run, because the language is not known": "未运行，因为不知道文本的语言",
    "not run, because it has no words for texts in {}": "未运行，因为没有适用于 {} 语言文本的词表",
    "not run, because no input is a text": "未运行，因为没有文本输入",
    "not run, because there is no model at hand to ask": "未运行，因为没有可供询问的模型",
    "not run, because the rows have no labels": "未运行，因为数据没有标签",
    "not run, because only {} rows are changed by it": "未运行，因为只有 {} 行会被它改变",
    "only {} rows are changed by it": "只有 {} 行被它改变",
    "Answers that changed": "发生变化的答案",
    "change": "改动",
    "rows changed": "改动的行数",
}
"""Phrases that the audits of changed texts share."""
