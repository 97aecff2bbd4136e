"""One attempt to make a bundle smaller, measured against the bundle that it was made from, and held to its limits."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from tunewright import audit
from tunewright.audit import Columns, latencies, quantile
from tunewright.core.task import Task
from tunewright.core.types import Exhibit, Finding
from tunewright.data.rows import Rows
from tunewright.pipeline.judge import context_of, judge
from tunewright.pipeline.models import Bundle
from tunewright.runtime.predictor import Predictor

REQUESTS, SECONDS = 200, 3.0
"""Single rows whose latency is measured, or as many as these seconds allow."""
BULK, TIMES = 500, 3
COLUMNS = {
    "step": "step",
    "setting": "setting",
    "size_mb": "size in MB",
    "p50_ms": "p50 in ms",
    "p99_ms": "p99 in ms",
    "rows_per_s": "rows per second",
    "measure": "measure",
    "value": "value",
    "low": "low",
    "high": "high",
    "lost": "lost",
    "lost_low": "lost, low",
    "lost_high": "lost, high",
    "recall_lost": "largest recall lost",
    "flips": "flips",
    "score_shift": "score shift",
    "outcome": "outcome",
}
"""Name in JSON → heading of the column."""


@dataclass(frozen=True)
class Attempt:
    """What was measured of one setting.

    figures : by the names in ``COLUMNS``; those that need labels are None where there are none
    findings : of all audits that ran
    missed : each limit that does not hold, in words
    """

    figures: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)
    missed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scale:
    """What attempts are measured by.

    rows : those that judge; targets may lack their labels
    before : target → logits of the bundle that is compressed
    gates : those of the task that are looked at
    origin : digest of the bundle that is compressed
    """

    task: Task
    rows: Rows
    before: Mapping[str, Any]
    gates: Mapping[str, str]
    origin: str

    def attempt(self, folder: Path, step: str, setting: str, threads: int = 0) -> Attempt:
        """Load a bundle and measure it."""
        predictor = Predictor.load(folder, threads)
        logits = predictor.logits(self.rows.inputs)
        of_targets = {name: self._compared(predictor, name, logits[name]) for name in predictor.kinds}
        several = len(of_targets) > 1
        compared = [replace(one, target=name if several else "") for name, own in of_targets.items() for one in own]
        judged: list[Finding] = []
        if self.rows.targets:
            task = self.task.model_copy(update={"gates": dict(self.gates)})
            judged = judge(predictor, task, self.rows, logits=logits)
        figures = {"step": step, "setting": setting, "size_mb": predictor.manifest.size_bytes / 1e6}
        figures |= timed(predictor, self.rows.inputs) | _worst([_figures(one) for one in of_targets.values()])
        missed = (*_beyond(figures, self.task), *(_gate(one) for one in audit.missed(judged)))
        return Attempt(figures, [*judged, *compared], missed)

    def _compared(self, predictor: Predictor, target: str, logits: Any) -> list[Finding]:
        rows = self.rows
        after, before = (
            context_of(Bundle(predictor), self.task, rows, target, logits=one) for one in (logits, self.before[target])
        )
        only = ["compress", *(["compare"] if after.truth is not None else [])]
        return audit.audit(replace(after, before=before), only=only)


def timed(predictor: Predictor, inputs: Columns) -> dict[str, float]:
    """p50 and p99 of single rows in ms, and rows per second in bulk, on this machine as it is now."""
    rows = [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]
    predictor.predict([rows[0]])  # the first call of a process pays for what later ones find ready
    took = latencies(lambda row: predictor.predict([row]), rows, callers=1, requests=REQUESTS, seconds=SECONDS) * 1000
    bulk, seconds = {name: list(values)[:BULK] for name, values in inputs.items()}, []
    for _ in range(TIMES):
        begun = time.perf_counter()
        predictor.logits(bulk)
        seconds.append(max(time.perf_counter() - begun, 1e-9))
    count = min(BULK, len(rows))
    return {"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "rows_per_s": count / median(seconds)}


def _figures(findings: Sequence[Finding]) -> dict[str, Any]:
    """Of one target: what its comparison says, as losses. Of an error, the loss is the share by which it grew."""
    value = {(one.metric, one.slice): one for one in findings}
    found: dict[str, Any] = {name: value[name, ""].value for name in ("flips", "score_shift")}
    first = next((one for one in findings if one.metric.startswith("difference.") and not one.slice), None)
    if first is None or first.value is None:
        return found
    name = first.metric.removeprefix("difference.")
    a, b = value[name, "A"], value[name, "B"]
    scale = -1.0 if name != "mae" else 1 / max(float(a.value or 0.0), 1e-12)
    ends = [None if one is None else one * scale for one in (first.low, first.high)]
    low, high = ends if scale > 0 else ends[::-1]
    recalls = [-(one.value or 0.0) for one in findings if one.metric == "difference.recall" and one.slice]
    found |= {"measure": name, "value": b.value, "low": b.low, "high": b.high}
    found |= {"lost": first.value * scale, "lost_low": low, "lost_high": high}
    return found | ({"recall_lost": max([0.0, *recalls])} if name != "mae" else {})


def _worst(of_targets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The measure of the target that lost most; of shares of their own, the largest of any target."""
    most = max(of_targets, key=lambda one: one.get("lost", -math.inf))
    shares = {
        name: max((one[name] for one in of_targets if one.get(name) is not None), default=None)
        for name in ("recall_lost", "flips", "score_shift")
    }
    return dict(most) | shares


def _beyond(figures: Mapping[str, Any], task: Task) -> list[str]:
    """Limits of ``[compress]`` that do not hold."""
    limits = task.compress
    pairs = {"lost": limits.accuracy_lost, "flips": limits.flips}
    pairs |= {"recall_lost": limits.recall_lost, "score_shift": limits.score_shift}
    named = {"lost": f"{figures.get('measure')} lost", "recall_lost": "recall lost", "score_shift": "score shift"}
    return [
        f"{named.get(name, name)} {figures[name]:.4f} > {limit:g}"
        for name, limit in pairs.items()
        if figures.get(name) is not None and figures[name] > limit + 1e-12
    ]


def _gate(finding: Finding) -> str:
    value = "no value" if finding.value is None else f"{finding.value:.4f}"
    return f"gate {finding.name} {finding.limit} is missed: {value}"


def table(attempts: Sequence[Attempt]) -> Exhibit:
    """All attempts, one row each."""
    rows = tuple(tuple(_plain(one.figures.get(name)) for name in COLUMNS) for one in attempts)
    return Exhibit("What was tried", "table", tuple(COLUMNS.values()), rows)


def _plain(value: Any) -> str | int | float | None:
    return round(value, 4) if isinstance(value, float) else value
