"""Run the audits: what one needs and does not get is said, one that raises is named, and the others stand."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from tunewright.audit._context import Context
from tunewright.core.errors import MissingExtra, TunewrightError, nearest
from tunewright.core.plugins import load, names
from tunewright.core.types import Finding, Kind

PIECE = 12

WORDS = {
    "logits": "there are no answers of a model",
    "truth": "the rows have no labels",
    "inputs": "the inputs themselves are not at hand",
    "leaked": "it is not known which rows occur in training",
    "train": "the training rows are not at hand",
    "predictor": "the model is no bundle at hand",
    "folds": "there was no cross-validation",
    "before": "there is no other model to compare with",
    "ask": "there is no model at hand to ask",
    "embed": "the model gives no vectors",
    "folder": "the model is no bundle at hand",
    "shift": "the model is no bundle at hand",
    "fit": "the model cannot be fitted anew here",
    "others": "the rows have no further columns",
    "groups": "no column of groups is at hand",
    "task": "the task is not known",
    "language": "the language is not known",
    "scores": "the model gives labels without scores",
}

Watch = Callable[[str, float], str]
"""Called before each audit with its name and the share that is done: why it is not to run, or an empty text."""


def audit(
    context: Context, only: Iterable[str] | None = None, *, costly: bool = False, watch: Watch | None = None
) -> list[Finding]:
    """Findings of all audits that suit the kind, or of those named; one that is ``ON_REQUEST`` has to be named.

    costly : all that there is to say is wanted: those that are ``COSTLY`` run too, after the others, and those that
        the task asks nothing of (``wanted``) say why they did not run

    An audit whose needs are not met, or that raises, gives findings without a value and a note that says why.

    Raises
    ------
    TunewrightError
        ``only`` names an audit that does not exist.
    """
    wanted = None if only is None else tuple(only)
    chosen = sorted(chosen_of(wanted, context.kind, costly=costly), key=lambda name: _says(name, "COSTLY"))
    found: list[Finding] = []
    for at, name in enumerate(chosen):
        reason = watch(name, at / len(chosen)) if watch is not None else ""
        if reason:
            found += _all_silent(name, context.kind, f"not run, because {reason}")
        else:
            found += _one(name, context, named=wanted is not None or costly)
    return found


def chosen_of(only: Sequence[str] | None, kind: Kind, *, costly: bool = False) -> list[str]:
    """The audits that ``audit`` runs for a kind.

    Raises
    ------
    TunewrightError
        ``only`` names an audit that does not exist.
    """
    known = names("audits")
    for name in only or ():
        if name not in known:
            raise TunewrightError(f"there is no audit {name!r}", nearest(name, known))
    if only is not None:
        return [name for name in known if name in only]
    return [name for name in known if _due(name, kind, costly)]


def _due(name: str, kind: Kind, costly: bool) -> bool:
    """Whether an audit runs without being named; one that cannot be loaded does, so that its failure is seen."""
    try:
        plugin = load("audits", name)
    except Exception:
        return True
    return suits(plugin, kind) and not _says(name, "ON_REQUEST") and (costly or not _says(name, "COSTLY"))


def _says(name: str, word: str) -> bool:
    try:
        return bool(getattr(load("audits", name), word, False))
    except Exception:
        return False


def promised(name: str, kind: Kind) -> tuple[str, ...]:
    """The metrics that an audit says it gives for a kind; none if it does not say."""
    plugin = load("audits", name)
    return tuple(plugin.metrics(kind)) if suits(plugin, kind) and hasattr(plugin, "metrics") else ()


def suits(plugin: ModuleType, kind: Kind) -> bool:
    """Whether an audit is for this kind."""
    return plugin.KINDS is None or Context(kind).kind_name in plugin.KINDS


def _one(name: str, context: Context, *, named: bool) -> list[Finding]:
    try:
        plugin = load("audits", name)
        if not suits(plugin, context.kind):
            wanted = ", ".join(sorted(plugin.KINDS))
            return [_silent(name, name, f"not run, because it is for {wanted}")] if named else []
        if not named and hasattr(plugin, "wanted") and not plugin.wanted(context):
            return []
        reason = _unmet(plugin.NEEDS, context)
        if reason:
            return _all_silent(name, context.kind, f"not run, because {reason}")
        return [replace(finding, audit=name) for finding in plugin.run(context)]
    except MissingExtra as error:
        library = error.arguments[1]
        return _all_silent(name, context.kind, f"not run, because {library} is not installed → {error.remedy}")
    except Exception as error:
        return _all_silent(name, context.kind, f"failed: {_why(error, context)}")


def _unmet(needs: frozenset[str], context: Context) -> str:
    missing = [WORDS.get(need, f"{need} is not given") for need in sorted(needs) if _lacks(context, need)]
    if missing:
        return " and ".join(dict.fromkeys(missing))
    return "there are no rows" if needs & {"truth", "logits"} and not context.rows else ""


def _lacks(context: Context, need: str) -> bool:
    value = getattr(context, need)
    return value is None or value is False or (isinstance(value, str | Mapping) and not value)


def _all_silent(name: str, kind: Kind, note: str) -> list[Finding]:
    try:
        metrics: Sequence[str] = promised(name, kind)
    except Exception:
        metrics = ()
    return [_silent(name, metric, note) for metric in metrics or (name,)]


def _silent(name: str, metric: str, note: str) -> Finding:
    return Finding(name, metric, None, note=note)


def _why(error: Exception, context: Context) -> str:
    """What went wrong and where. A message with a piece of a row is left out: the report ships with the bundle."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(str(error).split())
    if _tells_rows(message, context.inputs or {}):
        message = "(the message holds a row, so it is not shown)"
    return f"{type(error).__name__}: {message} ({Path(frame.filename).name} line {frame.lineno})"


def _tells_rows(message: str, inputs: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a message holds a text of a row, or a piece of one: 12 characters in a row, or anything in quotes."""
    texts = "\n".join(" ".join(str(text).split()) for column in inputs.values() for text in column)
    quoted = [piece for mark in "'\"`" for piece in re.findall(f"{mark}([^{mark}]+){mark}", message)]
    pieces = [message[at : at + PIECE] for at in range(len(message) - PIECE + 1)]
    whole = any(line and line in message for line in texts.split("\n") if len(line) > 3)
    return whole or any(piece in texts for piece in [*quoted, *pieces])
