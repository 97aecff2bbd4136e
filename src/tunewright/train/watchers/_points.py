"""What all watchers show: the figures of a record of the journal, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunewright.core.journal import Record


@dataclass(frozen=True)
class Point:
    """Figures at one moment.

    course : the training that they belong to, such as ``full`` or ``contrastive-2``; empty: the whole run
    step : of that training
    """

    course: str
    step: int
    values: dict[str, float]


def point(record: Record) -> Point | None:
    """The figures of a record; None where it has none.

    >>> point({"event": "step", "seconds": 9.0, "course": "full", "step": 40, "loss": 0.5})
    Point(course='full', step=40, values={'loss': 0.5})
    """
    find = FIGURES.get(record["event"])
    values = {name: value for name, value in find(record).items() if value is not None} if find else {}
    if not values:
        return None
    figures = {name: float(value) for name, value in values.items()}
    return Point(str(record.get("course", "")), int(record.get("step", 0)), figures)


def settings(record: Record) -> dict[str, str]:
    """Setting → its value as a text; empty where the record tells none."""
    return {name: str(value) for name, (value, _) in record.get("settings", {}).items()}


def _step(record: Record) -> dict[str, Any]:
    return {name: record.get(name) for name in ("loss", "learning_rate", "cost_per_second", "peak_rss_bytes", "epoch")}


def _judged(record: Record) -> dict[str, Any]:
    """``begin`` tells the score of the start, unless it goes on from a checkpoint."""
    if record["event"] == "begin" and record["step"]:
        return {}
    return {f"validation/{record['metric']}": record["score"], "validation/best": record["best"]}


def _rung(record: Record) -> dict[str, Any]:
    gains = ("gain", "low", "likelihood_gain", "likelihood_low")
    names = ("score", *gains, "took_seconds", "size_bytes", "trainable_parameters", "peak_rss_bytes")
    return {f"rung/{record['method']}/{name}": record.get(name) for name in names}


def _result(record: Record) -> dict[str, Any]:
    """Of several targets the metrics are told apart by their target."""
    name = "/".join(part for part in (str(record.get("target") or ""), str(record["metric"])) if part)
    return {f"final/{name}": record["value"]}


FIGURES = {"begin": _judged, "step": _step, "epoch": _judged, "rung": _rung, "result": _result}
"""Event → its figures."""
