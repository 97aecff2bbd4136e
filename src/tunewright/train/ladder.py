"""``auto``: the rungs that are tried, and when the next one is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.core import plugins
from tunewright.train.context import Context, Fitted
from tunewright.train.device import give_back

RUNGS = ("probe", "full")
Z80 = 0.8416
"""Standard normal quantile of a one-sided 80 % bound."""


@dataclass(frozen=True)
class Rung:
    """One method that was tried.

    score : mean row score on the validation part; gain, low : over the rung kept before, and its 80 % lower bound
    """

    method: str
    score: float
    seconds: float
    gain: float | None
    low: float | None
    kept: bool
    facts: dict[str, Any]


def climb(context: Context) -> tuple[Fitted, list[Rung]]:
    """Fit the task's method; for ``auto``, each rung in turn, kept while the bound of its gain is above zero."""
    method = context.task.fit.method
    wanted = _rungs(context) if method == "auto" else (method,)
    kept: Fitted | None = None
    rungs: list[Rung] = []
    for name in wanted:
        if kept is not None and context.run.stopping:
            context.run.log("rung", method=name, say=f"{name}: not tried, the time is over")
            break
        begun = time.monotonic()
        context.run.log("method", method=name, say=f"{name}: {plugins.summary('methods', name)}")
        fitted = plugins.load("methods", name).fit(context)
        give_back()
        rung = _compared(context, fitted, kept, time.monotonic() - begun)
        context.run.log(
            "rung",
            method=name,
            score=rung.score,
            gain=rung.gain,
            low=rung.low,
            kept=rung.kept,
            say=_said(context, rung),
        )
        rungs.append(rung)
        if rung.kept:
            kept = context.start = fitted
    assert kept is not None
    if kept.refit is not None and not context.run.interrupted:
        context.run.log("refit", say=f"{kept.method}: fitted again on training and validation rows together")
        kept = kept.refit()
    return kept, rungs


def _rungs(context: Context) -> tuple[str, ...]:
    return RUNGS if context.kind.closed_form else RUNGS[1:]


def paired_gain(scores: Any, before: Any) -> tuple[float, float]:
    """Mean gain of paired row scores and its one-sided 80 % lower bound (normal approximation)."""
    gains = np.asarray(scores, np.float64) - np.asarray(before, np.float64)
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
    return float(gains.mean()), float(gains.mean() - Z80 * error)


def _compared(context: Context, fitted: Fitted, kept: Fitted | None, seconds: float) -> Rung:
    truth = context.validation.truth
    scores = context.kind.row_score(fitted.validation_logits, truth)
    score = round(float(scores.mean()), 6)
    if kept is None:
        return Rung(fitted.method, score, seconds, None, None, True, fitted.facts)
    gain, low = paired_gain(scores, context.kind.row_score(kept.validation_logits, truth))
    return Rung(fitted.method, score, seconds, round(gain, 6), round(low, 6), low > 0, fitted.facts)


def _said(context: Context, rung: Rung) -> str:
    said = f"{rung.method}: validation {context.kind.headline[0]} {rung.score:.4f} after {rung.seconds:.1f} s"
    if rung.gain is None:
        return said
    verdict = "kept" if rung.kept else "not kept, since the gain is not sure"
    return f"{said}; gain {rung.gain:+.4f}, 80 % lower bound {rung.low:+.4f}: {verdict}"
