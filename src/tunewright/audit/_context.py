"""What an audit may use: the kind, what the model answered, the truth, and what else is at hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tunewright.core.types import Array, Kind

Columns = Mapping[str, Sequence[Any]]
"""Column → the values of n rows."""


def row_place(row: int) -> str:
    """Where a row lies, if nothing better is known.

    >>> row_place(0)
    'row 1'
    """
    return f"row {row + 1}"


@dataclass(frozen=True)
class Training:
    """The rows that the model learnt from.

    truth : (n, ...), in the kind's own coding
    others : columns that the model does not read; empty if only its own were read
    """

    inputs: Columns
    truth: Any
    others: Columns = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Folds:
    """What cross-validation answered: every row decided by a fit that had not seen it.

    decided, truth : (n, ...), in the kind's own coding
    fold : int64 (n,), numbers from 1 on
    learnt, methods : of each fold, how many rows its fit learned from and by which method
    asked : how many folds there were to be
    instead : there is no test part, so these rows stand for it
    """

    decided: Any
    truth: Any
    fold: Any
    learnt: tuple[int, ...]
    methods: tuple[str, ...]
    asked: int
    instead: bool = False


@dataclass(frozen=True)
class Context:
    """Everything but ``kind`` may be None; an audit lists in its ``NEEDS`` what it cannot do without.

    logits : float32 (n, k), what the model gave for each row
    truth : (n, ...), in the kind's own coding
    inputs : column → the n raw texts, shown in private exhibits only
    others : the columns of the rows that the model does not read
    groups : those of them whose groups are to be treated alike
    place : row → where it lies (``test.csv line 12``)
    leaked : bool (n,), rows whose input occurs in the training rows
    train : ``Training``, the rows that the model learnt from
    predictor : the loaded bundle
    ask : the model itself, be it a bundle, a service or a function: columns of n new rows → logits (n, k)
    embed : the model's vectors of new rows: columns → float32 (n, d), of length 1
    folder : path of the bundle
    folds : what cross-validation answered
    before : the same rows answered by the model that this one is compared with, in the coding of its own kind
    task : ``Task``, what the model was to learn, and how it is to be judged
    language : of the inputs, such as ``en`` or ``zh``; empty if it is not known
    scores : whether the model gave probabilities, and not labels alone
    strange : columns of rows that belong to no label
    fit : positions of training rows, seed → a model of the same make that learnt from these alone: its kind, and what
        it answers, columns of new rows → logits (n, k)
    shift : columns of n rows, their answers (n,), e lengths → the answers (e, n) where the rows' embeddings are shifted
        against the first ones by these shares of their length. It raises where the model has no gradients
    gradients : seed → the model's explainer by gradients, of its weights drawn anew; None = as they were trained. It
        raises where the model or the libraries have none
    """

    kind: Kind
    logits: Any = None
    truth: Any = None
    inputs: Any = None
    others: Any = None
    groups: Any = None
    place: Callable[[int], str] = row_place
    seed: int = 0
    leaked: Any = None
    train: Any = None
    predictor: Any = None
    ask: Any = None
    embed: Any = None
    folder: Any = None
    folds: Folds | None = None
    before: Context | None = None
    task: Any = None
    language: str = ""
    scores: bool = True
    strange: Columns | None = None
    fit: Any = None
    shift: Any = None
    gradients: Any = None

    @property
    def rows(self) -> int:
        """How many rows are judged."""
        known = next((one for one in (self.truth, self.logits) if one is not None), ())
        return len(known)

    @property
    def kind_name(self) -> str:
        """The kind's plugin name, from its class: ``PerToken`` → ``per_token``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self.kind).__name__).lower()

    def gated(self, metrics: Iterable[str]) -> bool:
        """Whether a gate of the task names one of these."""
        gates = () if self.task is None else self.task.gates
        return any(metric in gate for gate in gates for metric in metrics)

    @cached_property
    def decided(self) -> Array:
        return self.kind.decide(self.logits)

    @cached_property
    def proba(self) -> Array:
        return self.kind.proba(self.logits)
