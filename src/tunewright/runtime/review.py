"""Rules for people: which answers somebody has to look at, by label, by score, by what stands in the input."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from tunewright.kinds._reviewed import marked

UNDECIDED = "no answer"
"""The rule that holds wherever there is another one: what the model does not decide, a person does."""

NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
NO_SPACES += "\uf900-\ufaff\U00020000-\U0003ffff"
"""Characters of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Han, kana."""
LETTER = f"[^\\W{NO_SPACES}]"


@dataclass(frozen=True)
class Condition:
    """What an input must be like: one of the words occurs, or it has more than ``longer`` characters (0 = any)."""

    words: re.Pattern[str] | None
    longer: int
    column: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        words = tuple(told.get("words", ()))
        return cls(pattern(words) if words else None, int(told.get("longer", 0)), str(told.get("column", "")))

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a text of the row (column → value) is like that; a value that is no text never is."""
        looked_at = (row[self.column],) if self.column else row.values()
        return any(isinstance(value, str) and self._holds(value) for value in looked_at)

    def _holds(self, text: str) -> bool:
        if self.longer and len(text) > self.longer:
            return True
        return self.words is not None and self.words.search(folded(text)) is not None


@dataclass(frozen=True)
class Rules:
    """Labels, a score and conditions on the input; an answer that meets one of them needs review."""

    labels: tuple[str, ...]
    below: float
    slices: Mapping[str, Condition]

    @classmethod
    def of(cls, task: Mapping[str, Any]) -> Self | None:
        """Those of a task as a bundle keeps it; None where it has no rule."""
        told = task.get("review") or {}
        labels, below = tuple(told.get("labels", ())), float(told.get("below", 0.0))
        slices = {name: Condition.of(one) for name, one in (told.get("slices") or {}).items()}
        return cls(labels, below, slices) if labels or below or slices else None

    def hits(self, answers: Sequence[Any], rows: Mapping[str, Sequence[Any]]) -> dict[str, list[bool]]:
        """Rule → whether each row meets it.

        answers : of one target; rows : input column → values
        """
        given = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
        found = {f"label {label}": [label in labels_of(answer) for answer in answers] for label in self.labels}
        if self.below:
            found[f"score below {self.below:g}"] = [
                any(score < self.below for score in scores_of(answer)) for answer in answers
            ]
        for name, condition in self.slices.items():
            found[f"slice {name}"] = [condition.holds(row) for row in given]
        undecided = [
            getattr(answer, "reason", None) is not None or blank(row)
            for answer, row in zip(answers, given, strict=True)
        ]
        return found | {UNDECIDED: undecided}

    def marked(self, answers: Sequence[Any], rows: Mapping[str, Sequence[Any]]) -> list[Any]:
        """The answers, each with ``needs_review``."""
        by_row = zip(answers, *self.hits(answers, rows).values(), strict=True)
        return [marked(answer, any(hits)) for answer, *hits in by_row]


def labels_of(answer: Any) -> Sequence[str]:
    """What an answer calls, in its ``label`` or its ``labels``."""
    label = getattr(answer, "label", None)
    return (label,) if label is not None else getattr(answer, "labels", None) or ()


def scores_of(answer: Any) -> Sequence[float]:
    """The scores of what it calls."""
    score = getattr(answer, "score", None)
    return (score,) if score is not None else getattr(answer, "scores", None) or ()


def has_scores(answer: type) -> bool:
    """Whether answers of a type can have a score that lies below a limit."""
    return bool({"score", "scores"} & {one.name for one in fields(answer)})


def blank(row: Mapping[str, Any]) -> bool:
    """Whether nothing stands in any column."""
    return all(value is None or (isinstance(value, str) and not value.strip()) for value in row.values())


def folded(text: str) -> str:
    """A text without differences of case and of full and half width."""
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()


def pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Any of the words or phrases in a folded text, as whole words where their script has spaces between them.

    >>> found = pattern(["lawyer", "not happy", "投诉"])
    >>> [bool(found.search(folded(text))) for text in ("my LAWYER.", "lawyers", "not  happy", "我要投诉你", "找lawyer")]
    [True, False, True, True, True]
    """
    return re.compile("|".join(sorted(map(_whole, words), key=len, reverse=True)))


def _whole(word: str) -> str:
    inner = r"\s+".join(re.escape(part) for part in folded(word).split())
    first, last = folded(word).strip()[0], folded(word).strip()[-1]
    left, right = (re.match(LETTER, one) is not None for one in (first, last))
    return f"{f'(?<!{LETTER})' if left else ''}{inner}{f'(?!{LETTER})' if right else ''}"
