"""What can be wrong with rows: the table of all rules, and one case that was found.

``TABLE`` says what stops ``fit`` and what only warns; the docs and ``tunewright check`` print it. A stop is a state
from which no sound model or no sound figure can come; everything that a user may well want to go on with is a warning.
A class with a single row is such a case: it stays among the training rows, where it can be learnt, and the report says
that it was not measured; only if no class has two rows, so that nothing could be held out at all, does it stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tunewright.core.errors import TunewrightError

FEW_ROWS = 10
"""A share of fewer rows than this says next to nothing: 9 of 9 right still has a 95 % interval from 0.70 to 1."""
JUDGED_ROWS = 30
"""Fewer rows than this judge no model: of 29 rows, 26 right still leave an interval from 0.74 to 0.96."""
LANGUAGE_SHARE = 0.1
"""Of the rows that are in another language than most."""


@dataclass(frozen=True)
class Rule:
    """A line of the table: what is looked for, what it means, what to do."""

    level: Literal["stop", "warn"]
    name: str
    what: str
    remedy: str


TABLE: tuple[Rule, ...] = (
    Rule("stop", "no_rows", "a part has no rows, or none that is not empty", "name a file with rows below its header"),
    Rule("stop", "empty_input", "all inputs of a row are empty or white space", "fill it, or pass --drop-empty"),
    Rule("stop", "empty_label", "a row has no label: empty, white space or NaN", "fill it, or pass --drop-empty"),
    Rule("stop", "huge_cell", "a cell is longer than a million characters", "shorten it; often a quote is not closed"),
    Rule("stop", "one_class", "all training rows have the same label (or number)", "add rows with other labels"),
    Rule(
        "stop",
        "unknown_label",
        "a label that no training row has, or that the task does not list",
        "add training rows of it",
    ),
    Rule(
        "stop",
        "unknown_review",
        "`review.labels` names a label that no training row has",
        "name a label of the task",
    ),
    Rule(
        "stop",
        "nothing_to_hold_out",
        "no class has two rows and a part has to be cut off",
        "add rows, or name the label column",
    ),
    Rule(
        "warn",
        "single_row_class",
        "a class with one training row: learnt from, not measured",
        "add rows, or merge the class",
    ),
    Rule(
        "warn",
        "small_class",
        f"a class with fewer than {FEW_ROWS} test rows: its figures are chance",
        "add test rows of it",
    ),
    Rule("warn", "label_spelling", "labels that differ only by case or white space", "merge them"),
    Rule(
        "warn",
        "contradictory",
        "equal inputs with different labels in one part",
        "look at the rows and settle on one label",
    ),
    Rule(
        "warn",
        "duplicate",
        "rows that occur more than once in one part",
        "keep one of each, unless their number means something",
    ),
    Rule(
        "warn",
        "leaked",
        "held-out inputs that occur in training; the score is also given without them",
        "leave them out",
    ),
    Rule(
        "warn",
        "long_row",
        "rows longer than the window: they are cut into several",
        "set fit.max_tokens, or shorten them",
    ),
    Rule(
        "warn",
        "language_mix",
        f"a second language has {LANGUAGE_SHARE:.0%} of the rows or more",
        "use a multilingual backbone",
    ),
    Rule(
        "warn", "no_label", "multilabel rows without any label: they count as having none", "check that this is meant"
    ),
    Rule(
        "warn",
        "part_label",
        "rows that have a label of one target and none of another: they teach the first",
        "fill them to teach both",
    ),
    Rule(
        "warn",
        "few_rows",
        f"fewer than {JUDGED_ROWS} rows to judge a bundle on: its figures are chance",
        "label more rows",
    ),
    Rule("warn", "dropped", "rows left out because they are empty (data.drop_empty)", "fill them to use them"),
    Rule("warn", "unused_merge", "a label to be merged that does not occur", "check its spelling"),
)
"""Everything that is looked for, in the order in which it is told."""

_RULES = {rule.name: rule for rule in TABLE}


@dataclass(frozen=True)
class Issue:
    """One thing found.

    place : of the first case, such as ``support.csv line 812``
    count : how many rows (or labels) it concerns
    """

    level: Literal["stop", "warn"]
    name: str
    problem: str
    place: str
    count: int
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem} → {self.remedy}"

    def record(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def case(name: str, problem: str, place: str, count: int, remedy: str = "") -> Issue:
    """A case of a rule; its remedy is the rule's own, where it has none of its own."""
    rule = _RULES[name]
    return Issue(rule.level, name, problem, place, count, remedy or rule.remedy)


def stop_if_needed(issues: Sequence[Issue]) -> None:
    """Raise the first issue that stops, and say how many more do.

    Raises
    ------
    TunewrightError
        There is one.
    """
    stops = [issue for issue in issues if issue.level == "stop"]
    if stops:
        more = len(stops) - 1
        problems = "problem that stops" if more == 1 else "problems that stop"
        others = f" (and {more} more {problems})" if more else ""
        raise TunewrightError(f"{stops[0].place}: {stops[0].problem}{others}", stops[0].remedy)


def told_label(label: str) -> str:
    """A label in a message, not more than 60 characters of it."""
    return repr(label if len(label) <= 60 else label[:59] + "…")
