"""Judging a model: one file = one audit. It measures one thing on labelled rows and gives findings with intervals.

A file here holds a docstring (first line = help, then ``Definition:``, ``Formula:``, ``How to read:``, ``Source:``),
the names ``NEEDS`` and ``KINDS``, ``run(context) -> list[Finding]`` and ``metrics(kind) -> tuple[str, ...]``, the
names that gates can name. These may be left out: ``ZH_DOC`` (the docstring in Chinese), ``ZH`` (its phrases in
Chinese), ``REMEDY`` (what to try when a gate on it is missed), ``COSTLY`` (it runs where all audits are asked for or a
gate names it, not in every fit), ``ON_REQUEST`` (it runs only where it is named) and ``IN_WORDS`` (the note of its
first finding is the sentence that a report begins with).
"""

from tunewright.audit._context import Columns, Context, Folds, Training
from tunewright.audit._faithfulness import faithfulness
from tunewright.audit._gates import asked_by, check_gates, judge, missed, next_step, refusal
from tunewright.audit._run import audit

__all__ = [
    "Columns",
    "Context",
    "Folds",
    "Training",
    "asked_by",
    "audit",
    "check_gates",
    "faithfulness",
    "judge",
    "missed",
    "next_step",
    "refusal",
]
