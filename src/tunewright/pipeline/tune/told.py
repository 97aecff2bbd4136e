"""What is told of a search: its record, a trial in one line, and the file beside the bundle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunewright.core.run import Run
from tunewright.core.space import Field
from tunewright.core.task import Task
from tunewright.pipeline.parts import Parts
from tunewright.pipeline.tune.measure import OBJECTIVES, Objective

if TYPE_CHECKING:
    from tunewright.train.search import Trial


def record_of(
    trials: Sequence[Trial],
    space: Sequence[Field],
    objectives: Sequence[Objective],
    task: Task,
    parts: Parts,
    winner: int | None = None,
) -> dict[str, Any]:
    """The search as JSON values; draws of settings that were tried before are left out."""
    from tunewright.train.search import frontier

    shown = [one for one in trials if one.same_as is None]
    return {
        "objectives": [one.name for one in objectives],
        "space": {one.name: str(one) for one in space},
        "seed": task.seed,
        "data": parts.digest,
        "validation_rows": len(parts.validation),
        "trials": [told(one, objectives) for one in shown],
        "frontier": [one.number for one in frontier(shown, [one.highest for one in objectives])],
        "winner": winner,
    }


def told(one: Trial, objectives: Sequence[Objective]) -> dict[str, Any]:
    """A trial as JSON values."""
    values = dict(zip((goal.measure for goal in objectives), one.values or (), strict=bool(one.values)))
    record = {"number": one.number, "state": one.state, "seconds": one.seconds, "params": one.params, "values": values}
    return record | {"scores": {str(epoch): score for epoch, score in one.scores.items()}, "reason": one.reason}


def write(run: Run, record: Mapping[str, Any]) -> None:
    """``OUT.tune.json``, whole or not at all; it stays when the bundle is refused or replaced."""
    path = run.out.with_name(f"{run.out.name}.tune.json")
    new = run.folder / path.name
    new.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(new, path)


def said(trial: Mapping[str, Any], objectives: Sequence[str]) -> str:
    """A trial's record in one line: state, values, seconds, settings, and why it failed."""
    goals = [OBJECTIVES[name] for name in objectives]
    values = [f"{one.name} {one.shown(trial['values'][one.measure])}" for one in goals if trial["values"]]
    params = [f"{name}={_short(value)}" for name, value in trial["params"].items()]
    pieces = [trial["state"], *values, f"{trial['seconds']:.1f} s", " ".join(params), trial["reason"]]
    return "  ".join(piece for piece in pieces if piece)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
