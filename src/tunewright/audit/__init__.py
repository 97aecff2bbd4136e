"""Judging a model: one file = one audit. It measures one thing on labelled rows and gives findings with intervals.

A file here holds a docstring (first line = help, then ``Definition:``, ``Formula:``, ``How to read:``, ``Source:``),
the names ``NEEDS`` and ``KINDS``, ``run(context) -> list[Finding]`` and ``metrics(kind) -> tuple[str, ...]``, the
names that gates can name. These may be left out: ``ZH_DOC`` (the docstring in Chinese), ``ZH`` (its phrases in
Chinese), ``REMEDY`` (what to try when a gate on it is missed), ``COSTLY`` (it runs where all audits are asked for or a
gate names it, not in every fit), ``TIMED`` (its values are times, which differ from run to run), ``ON_REQUEST`` (it
runs only where it is named), ``wanted(context) -> bool`` (whether a fit says anything of it without being asked),
``BY_GROUP`` (a gate on it names a column of groups behind the metric) and ``IN_WORDS`` (the note of its first finding
is the sentence that a report begins with).

``tunewright.audit(model, rows)``, the verb, is this package, called: it hands on to ``tunewright.pipeline.audit``.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from tunewright.audit._alarms import Raised, alarms
from tunewright.audit._context import Columns, Context, Folds, Training
from tunewright.audit._faithfulness import faithfulness
from tunewright.audit._gates import asked_by, check_gates, givers, judge, missed, next_step, refusal, verdicts
from tunewright.audit._run import audit, chosen_of
from tunewright.audit._timing import latencies, quantile

__all__ = [
    "Columns",
    "Context",
    "Folds",
    "Raised",
    "Training",
    "alarms",
    "asked_by",
    "audit",
    "check_gates",
    "chosen_of",
    "faithfulness",
    "givers",
    "judge",
    "latencies",
    "missed",
    "next_step",
    "quantile",
    "refusal",
    "verdicts",
]


class _Verb(ModuleType):
    """A package has the name of the verb, so ``tunewright.audit`` can only be both."""

    def __call__(self, model: Any, rows: Any, **named: Any) -> Any:
        """Judge a model on rows; see ``tunewright.pipeline.audit``."""
        return import_module("tunewright.pipeline").audit(model, rows, **named)


sys.modules[__name__].__class__ = _Verb
