"""``auto``: the rungs that are tried, and when the next one is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tunewright.backbones._encoder import Encoder
from tunewright.core import plugins
from tunewright.core.memory import PeakMemory
from tunewright.objectives._wrapped import modules
from tunewright.train.context import Context
from tunewright.train.device import give_back
from tunewright.train.evidence import Evidence, compared
from tunewright.train.fitted import Fitted
from tunewright.train.take import say_if_alone, trainings

FEW_ROWS = 16
"""Rows of a class, on the average, up to which pairs of rows teach an encoder more than the rows themselves."""
EPOCH_PASSES = 3.5
"""What an epoch of full fine-tuning costs, in passes of the frozen encoder over the training rows; measured: 2 to 3."""
CHEAP = ("lexical", "probe", "blend")
"""Rungs that cost little by themselves: the better one is kept without proof."""
AGAIN = 0.1
"""The part of the time that words may take beyond its end to be learnt again from all rows."""

TOLD = ("score", "error", "gain", "low", "likelihood_gain", "likelihood_low", "kept", "size_bytes", "peak_rss_bytes")
"""What of a rung stands in the log, besides its time."""


@dataclass(frozen=True)
class Rung:
    """One method that was tried.

    score, error : mean row score on the validation part, and its standard error
    gain, low : of the score over the rung kept before, and its one-sided 80 % lower bound
    likelihood_gain, likelihood_low : the same of the mean log likelihood, where the two were compared by it
    size_bytes : of the weights that would ship
    peak_rss_bytes : the largest resident memory of the process meanwhile
    """

    method: str
    score: float
    error: float
    seconds: float
    size_bytes: int
    gain: float | None
    low: float | None
    kept: bool
    facts: dict[str, Any]
    peak_rss_bytes: int = 0
    likelihood_gain: float | None = None
    likelihood_low: float | None = None


def climb(context: Context, *, baseline: bool = True) -> tuple[Fitted, list[Rung]]:
    """Fit the task's method; for ``auto``, each rung in turn.

    baseline : words alone are fitted too, where a method is named

    Words and the probe cost little, so the better of the two is kept; the cross-validation of their strengths has
    judged them on training rows, too, which count with the validation rows. What else has labels is compared by its log
    likelihood, unless its score is surely lower (see ``evidence``). A rung that trains by gradient is kept where the
    lower bound of its gain is above zero, or where it says that there are too few rows to tell; it is tried
    whatever the probe is worth, since a poor probe says nothing of the encoder once it is trained. Probe and words are
    blended before that: it costs nothing more, so any gain will do, and what is trained has that to beat. Where that is
    better than the probe, it is blended with words in the end.
    """
    asked = context.task.fit.method
    kept: Fitted | None = None
    first: Fitted | None = None
    rungs: list[Rung] = []
    if context.task.privacy.epsilon and asked == "auto":
        asked = "private"  # the rungs that others are compared with would tell of the rows
    named = _with_baseline(context, asked) if baseline else (asked,)
    for name in _rungs(context) if asked == "auto" else named:
        if kept is not None and _too_late(context, name):
            context.run.log("rung", method=name, say=f"{name}: not tried, the time is over")
            continue
        begun = context.run.elapsed
        context.run.log("method", method=name, say=f"{name}: {plugins.summary('methods', name)}")
        with PeakMemory() as memory:
            fitted = plugins.load("methods", name).fit(context)
        give_back()
        say_if_alone(context, fitted)
        cheap = name in CHEAP and (not _trained(context) or kept is context.dense)
        rung = _rung(context, fitted, kept or first, context.run.elapsed - begun, cheap=cheap)
        rung = replace(rung, peak_rss_bytes=memory.bytes)
        if asked != "auto":
            rung = replace(rung, kept=name == asked)
        told = {key: getattr(rung, key) for key in TOLD}
        told |= {"took_seconds": round(rung.seconds, 3), "metric": context.kind.headline[0]}
        told |= {"trainable_parameters": fitted.facts.get("trainable_parameters")}
        context.run.log("rung", method=name, say=_said(context, rung, cheap=cheap), **told)
        rungs.append(rung)
        first = first or fitted
        if rung.kept:
            kept = fitted
        _remember(context, name, fitted, kept)
    assert kept is not None
    return _on_all_rows(context, kept, rungs), rungs


def _on_all_rows(context: Context, kept: Fitted, rungs: list[Rung]) -> Fitted:
    """Fitted again on training and validation rows together, where it can be and takes little."""
    run = context.run
    if kept.refit is None or run.interrupted:
        return kept
    words = next((one.seconds for one in rungs if one.method == "lexical" and kept.method in ("lexical", "blend")), 0.0)
    if words > max(run.left, AGAIN * run.seconds, 0.0):
        run.log("refit", say=f"{kept.method}: not fitted again on all rows, which would take some {words:.0f} s more")
        return kept
    run.log("refit", say=f"{kept.method}: fitted again on training and validation rows together")
    return kept.refit()


def _too_late(context: Context, name: str) -> bool:
    return context.run.interrupted or (context.run.stopping and name != "blend")


def _remember(context: Context, name: str, fitted: Fitted, kept: Fitted | None) -> None:
    """What later rungs begin from: words alone, the probe, and the best that was fitted on the backbone."""
    if name == "lexical":
        context.words = fitted
        return
    if name == "blend":
        return
    if name == "probe":
        context.start = fitted
    best = context.dense
    if best is None or kept is fitted or compared(context, fitted, best).any:
        context.dense = fitted


def _with_baseline(context: Context, asked: str) -> tuple[str, ...]:
    """The method that was asked for, and words alone, to hold it against."""
    return (asked,) if asked in ("lexical", "private") or not _has_words(context) else ("lexical", asked)


def _has_words(context: Context) -> bool:
    return context.kind.closed_form is not None and set(context.task.inputs.values()) == {"text"}


def _rungs(context: Context) -> Iterator[str]:
    """What ``auto`` tries, one after the other; the later ones depend on what the earlier ones cost."""
    if _has_words(context):
        yield "lexical"
    if context.kind.closed_form is None:
        yield "full"
        return
    yield "probe"
    if _may_blend(context):
        yield "blend"
    if context.target.kind == "classify" and len(context.train) <= FEW_ROWS * context.kind.size:
        yield "contrastive"
    left = context.run.left / trainings(context.task.fit)
    long = context.start is not None and EPOCH_PASSES * context.pass_seconds > left
    # An objective on embeddings has none to move in ``top``, which knows the layers of our own encoder alone.
    own = isinstance(context.backbone.encoder, Encoder)
    if long and own and "words" not in modules(context.task):
        yield "top"
    else:
        yield "full"
    if _trained(context) and _may_blend(context):
        yield "blend"


def _trained(context: Context) -> bool:
    """Whether the best on the backbone was trained by gradient."""
    return context.dense is not None and context.dense is not context.start


def _may_blend(context: Context) -> bool:
    """Whether words may stand beside the best that was fitted on the backbone."""
    # What is taken on trust has learnt from the rows that the shares of a blend would be fitted on.
    # An encoder that is to be shared reads tokens alone.
    fit, dense = context.task.fit, context.dense
    return fit.blend and not fit.shared and context.words is not None and dense is not None and not _on_trust(dense)


def _rung(context: Context, fitted: Fitted, before: Fitted | None, seconds: float, *, cheap: bool) -> Rung:
    """The rung that it is beside the one kept before; cheap : any gain will do."""
    scores = context.kind.row_score(fitted.judged, context.kind.encode(context.parts["validation"].truth))
    score, error = float(scores.mean()), float(scores.std() / max(1, len(scores)) ** 0.5)
    size = sum(one.nbytes for module in (fitted.encoder, fitted.head) for one in module.state_dict().values())
    rung = Rung(fitted.method, round(score, 6), round(error, 6), seconds, size, None, None, True, fitted.facts)
    if before is None:
        return rung
    # Words alone are fitted by margins, not by likelihood.
    evidence = compared(context, fitted, before, by_score="lexical" in (fitted.method, before.method))
    better = evidence.any if cheap else evidence.sure or _on_trust(fitted)
    return replace(rung, kept=better, **_gains(evidence))


def _gains(evidence: Evidence) -> dict[str, Any]:
    told: dict[str, Any] = {"gain": round(evidence.score.mean, 6), "low": round(evidence.score.low, 6)}
    if evidence.likelihood is not None:
        told |= {"likelihood_gain": round(evidence.likelihood.mean, 6)}
        told |= {"likelihood_low": round(evidence.likelihood.low, 6)}
    return told


def _on_trust(fitted: Fitted | Rung) -> bool:
    """Whether the method says that the validation rows are too few to judge it by; then it is taken, as named."""
    return fitted.facts.get("judged") is False


def _said(context: Context, rung: Rung, *, cheap: bool) -> str:
    said = f"{rung.method}: validation {context.kind.headline[0]} {rung.score:.4f} after {rung.seconds:.1f} s"
    if rung.gain is None:
        return said
    if rung.kept and _on_trust(rung):
        return f"{said}; kept on trust: there are too few validation rows to judge it by"
    lower = rung.likelihood_gain is not None and rung.likelihood_gain > 0 > 2 * rung.gain - (rung.low or 0.0)
    why = "the score is lower" if lower else "there is none" if cheap else "the gain is not sure"
    verdict = "kept" if rung.kept else f"not kept, since {why}"
    gains = f"gain {rung.gain:+.4f}, 80 % lower bound {rung.low:+.4f}"
    if rung.likelihood_gain is not None:
        gains += f"; of the log likelihood {rung.likelihood_gain:+.4f}, {rung.likelihood_low:+.4f}"
    return f"{said}; {gains}: {verdict}"
