"""Judging a model: one file = one audit. It measures one thing on labelled rows and gives findings with intervals.

A file here holds a docstring (first line = help, then ``Definition:``, ``Formula:``, ``How to read:``, ``Source:``),
the names ``NEEDS`` and ``KINDS``, ``run(context) -> list[Finding]`` and ``metrics(kind) -> tuple[str, ...]``, the
names that gates can name. ``ZH_DOC`` (the docstring in Chinese), ``ZH`` (its phrases in Chinese) and ``REMEDY`` (what
to try when a gate on it is missed) may be left out, and so may ``ON_REQUEST`` (it runs only where it is named)
and ``IN_WORDS`` (the note of its first finding is the sentence that a report begins with).
"""

from tunewright.audit._context import Context, Folds
from tunewright.audit._faithfulness import faithfulness
from tunewright.audit._gates import asked_by, check_gates, judge, missed, next_step, refusal
from tunewright.audit._run import audit

__all__ = [
    "Context",
    "Folds",
    "asked_by",
    "audit",
    "check_gates",
    "faithfulness",
    "judge",
    "missed",
    "next_step",
    "refusal",
]
