"""Steps of compression under way: of each, the first setting that passes is kept; where none does, it is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core import plugins
from tunewright.core.errors import GateMissed, TunewrightError
from tunewright.core.run import Listener
from tunewright.data.rows import Rows
from tunewright.pipeline.asked import Asked
from tunewright.pipeline.attempts import COLUMNS, Attempt, Scale, table
from tunewright.pipeline.judge import judge

if TYPE_CHECKING:
    from tunewright.compress._copy import Copy

TARGET = re.compile(r"^\s*(\w+)\s*(<=|>=)\s*(\d+(?:\.\d+)?)\s*$")
MEASURES = ("size_mb", "p50_ms", "p99_ms", "rows_per_s")


class NotCompressed(GateMissed):
    """No setting of a step passed: ``exhibit`` is the table of what was tried."""

    def __init__(self, problem: str, remedy: str, exhibit: Any = None) -> None:
        super().__init__(problem, remedy)
        self.exhibit = exhibit

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.problem, self.remedy, self.exhibit)


def steps_of(to: str | Sequence[str]) -> list[str]:
    """Names of steps, from a text with commas or a list.

    Raises
    ------
    TunewrightError
        One is not known (with the nearest), or stands there twice.
    """
    steps = [one.strip() for one in (to.split(",") if isinstance(to, str) else to) if one.strip()]
    if not steps:
        raise TunewrightError("--to names no step", f"use one of: {', '.join(plugins.names('compress'))}")
    for step in steps:
        plugins.load("compress", step)
        if steps.count(step) > 1:
            raise TunewrightError(f"--to names {step} twice", "name each step once")
    return steps


def target_of(text: str) -> tuple[str, str, float]:
    """Measure, sign and limit of a ``--target``.

    >>> target_of("size_mb <= 30")
    ('size_mb', '<=', 30.0)
    """
    found = TARGET.match(text)
    if found is None or found[1] not in MEASURES:
        known = ", ".join(MEASURES)
        raise TunewrightError(f"--target {text!r} is no target", f'write for example "size_mb<=30"; known are {known}')
    return found[1], found[2], float(found[3])


@dataclass
class Work:
    """Steps under way: what was tried, and what was said."""

    asked: Asked
    listener: Listener
    wanted: list[tuple[str, str, float]]
    tried: list[Attempt] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)
        self.listener({"event": "compress", "seconds": 0.0, "say": text})

    def divided(self, rows: Rows, trained: Rows | None, steps: Sequence[str]) -> tuple[Rows, list[list[Any]]]:
        """The rows that judge, and the texts that a step may read, which are never the same rows."""
        if not rows.targets:
            self.say("the rows have no labels: only flips and the shift of scores are judged, not accuracy")
        if not any(getattr(plugins.load("compress", step), "READS_TEXTS", False) for step in steps):
            return rows, []
        if trained is None:
            order = np.random.default_rng(self.asked.task.seed).permutation(len(rows))
            half = len(rows) // 2
            if not half:
                raise TunewrightError("vocabulary reads texts, and there is one row", "give more rows, or --train")
            trained, rows = rows.take(np.sort(order[:half])), rows.take(np.sort(order[half:]))
            self.say(f"tokens of {len(trained):,} of the rows stay; the other {len(rows):,} judge")
        columns = [list(trained.inputs[name]) for name in self.asked.task.inputs]
        return rows, columns

    def gates(self, loaded: Any, rows: Rows, logits: Any) -> dict[str, str]:
        """The gates that are looked at: of the bundle's own, those that something measures on these rows."""
        gates = dict(self.asked.task.gates)
        if not gates or not rows.targets:
            return {}
        task = self.asked.task
        silent = {
            gate
            for gate in gates
            if gate not in self.asked.gates
            for one in judge(loaded, task.model_copy(update={"gates": {gate: gates[gate]}}), rows, logits=logits)
            if one.limit and one.value is None
        }
        if silent:
            self.say(f"gates that are not looked at, since nothing measures them here: {', '.join(sorted(silent))}")
        return {gate: limit for gate, limit in gates.items() if gate not in silent}

    def step(self, name: str, state: Copy, scale: Scale, origin: str, *, at_end: bool) -> tuple[Copy, Attempt]:
        """Try the settings of a step in their order; the first that passes.

        Raises
        ------
        NotCompressed
            None does.
        """
        plugin = plugins.load("compress", name)
        for number, setting in enumerate(plugin.SETTINGS):
            copy = state.again(state.folder.with_name(f"{name}-{number}"))
            plugin.run(copy, setting)
            copy.sealed(name, setting, origin)
            found = scale.attempt(copy.folder, name, setting, self.asked.task.fit.threads)
            missed = (*found.missed, *(self._unreached(found) if at_end else ()))
            found = replace(found, missed=missed, notes=tuple(copy.notes))
            self.tried.append(self.told(found, "kept" if not missed else "; ".join(missed)))
            self.say(f"{name}, {setting}: {self.tried[-1].figures['outcome']}")
            if not missed:
                for note in copy.notes:
                    self.say(note)
                return copy, self.tried[-1]
            shutil.rmtree(copy.folder)
        raise self._refusal(name)

    def told(self, found: Attempt, outcome: str) -> Attempt:
        figures = {key: found.figures.get(key) for key in COLUMNS}
        return replace(found, figures=figures | {"outcome": outcome})

    def _unreached(self, found: Attempt) -> list[str]:
        signs = {"<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b}
        return [
            f"target {name} {sign} {limit:g} is not reached: {found.figures[name]:.4g}"
            for name, sign, limit in self.wanted
            if not signs[sign](found.figures[name], limit)
        ]

    def _refusal(self, name: str) -> NotCompressed:
        own = [one for one in self.tried if one.figures["step"] == name]
        problems = "; ".join(f"{one.figures['setting']}: {one.figures['outcome']}" for one in own)
        only_target = any(all(said.startswith("target ") for said in one.missed) for one in own)
        remedy = (
            "add a step, such as --to vocabulary,int8, or set a target that it reaches"
            if only_target
            else "keep the bundle as it is, or allow more: --set compress.flips=0.03"
        )
        return NotCompressed(f"no setting of {name} passes: {problems}", remedy, table(self.tried))
