"""The curves of a training, from its journal: loss and validation score over the steps, one pair for each training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from tunewright.core.types import Exhibit
from tunewright.report import plots, words
from tunewright.report.words import Pair

WIDTH, HEIGHT = 400, 240
MOST_POINTS = 200
"""Points of a curve of losses; more are put together to their means."""


def curves(records: Sequence[Mapping[str, Any]], work: str) -> list[dict[str, Any]]:
    """What a journal tells of the trainings of one run, in the order in which they were begun.

    A training that goes on from a checkpoint makes some steps again: of those the later record counts.

    Parameters
    ----------
    records : of ``read_journal``
    work : name of the run's work folder; an earlier run with other rows or settings may stand in the same journal

    Returns
    -------
    Per training ``name`` (its course), ``metric``, ``loss`` and ``score``: lists of [step, value].
    """
    found: dict[str, dict[str, Any]] = {}
    now: dict[str, Any] | None = None
    for record in records:
        if record["event"] == "begin":
            now = _begun(found, record) if record.get("work") == work else None
        elif now is not None and record["event"] in KEPT and record.get("course") == now["name"]:
            name, field = KEPT[record["event"]]
            if isinstance(record.get("step"), int) and isinstance(record.get(field), int | float):
                now[name].append([record["step"], record[field]])
    return [_thin(curve) for curve in found.values() if curve["loss"]]


KEPT = {"step": ("loss", "loss"), "epoch": ("score", "score")}
"""Event → the curve that it is a point of, and the field that holds its value."""


def _begun(found: dict[str, dict[str, Any]], record: Mapping[str, Any]) -> dict[str, Any]:
    """The curve of a training that begins, or goes on: what was told of later steps is forgotten."""
    name, step = str(record.get("course")), record.get("step")
    step = step if isinstance(step, int) else 0
    curve = found.get(name)
    if curve is None or not step:
        curve = {"name": name, "metric": str(record.get("metric")), "loss": [], "score": []}
        if not step and isinstance(record.get("score"), int | float):
            curve["score"].append([0, record["score"]])
        found[name] = curve
    for points in (curve["loss"], curve["score"]):
        points[:] = [point for point in points if point[0] <= step]
    return curve


def _thin(curve: Mapping[str, Any]) -> dict[str, Any]:
    return {key: curve[key] for key in ("name", "metric", "score")} | {"loss": thinned(curve["loss"])}


def thinned(points: Sequence[Sequence[float]], most: int = MOST_POINTS) -> list[list[float]]:
    """At most so many points: each the mean of several neighbours, at the step of the last of them.

    >>> thinned([[1, 4.0], [2, 2.0], [3, 1.0]], most=2)
    [[2, 3.0], [3, 1.0]]
    """
    size = -(-len(points) // most) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [[group[-1][0], round(sum(value for _, value in group) / len(group), 6)] for group in groups]


def traces(curve: Mapping[str, Any]) -> list[Markup]:
    """The plots of one training, beside each other: loss, and score on the validation part."""
    found = (("loss of training", curve["loss"]), (curve["metric"], curve["score"]))
    shown = [Exhibit(name, "curve", ("step", name), tuple(map(tuple, points))) for name, points in found if points]
    return [plots.curve(one, _say, WIDTH, HEIGHT) for one in shown if len(one.rows) > 1]


def _say(text: str) -> Pair:
    return words.metric(text) if text in words.METRICS else (text, words.translate(text))
