"""Steps of compression under way: of each, the first setting that passes is kept; where none does, it is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tunewright.core import plugins
from tunewright.core.errors import GateMissed, TunewrightError, nearest
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
    """Steps, from a text with commas or a list: names, or ``NAME=SETTING`` where one setting alone is to be tried.

    Raises
    ------
    TunewrightError
        One is not known (with the nearest), or stands there twice.
    """
    steps = [one.strip() for one in (to.split(",") if isinstance(to, str) else to) if one.strip()]
    if not steps:
        raise TunewrightError("--to names no step", f"use one of: {', '.join(plugins.names('compress'))}")
    named = [name_of(one) for one in steps]
    for name, step in zip(named, steps, strict=True):
        plugin, only = plugins.load("compress", name), step.partition("=")[2]
        if only and not hasattr(plugin, "settings") and only not in plugin.SETTINGS:
            raise TunewrightError(f"{name} has no setting {only!r}", nearest(only, plugin.SETTINGS))
        if named.count(name) > 1:
            raise TunewrightError(f"--to names {name} twice", "name each step once")
    return steps


def name_of(step: str) -> str:
    """The name in ``NAME`` or ``NAME=SETTING``."""
    return step.partition("=")[0].strip()


def _settings(plugin: Any, step: str, state: Copy) -> Sequence[str]:
    """The settings that are tried of a step, in their order."""
    if only := step.partition("=")[2].strip():
        return (only,)
    of_copy: Sequence[str] = plugin.settings(state) if hasattr(plugin, "settings") else plugin.SETTINGS
    return of_copy


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
    """Steps under way: what was tried, and what was said.

    refused : the last copy that did not pass, and what was measured of it
    """

    asked: Asked
    listener: Listener
    wanted: list[tuple[str, str, float]]
    tried: list[Attempt] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    refused: tuple[Copy, Attempt] | None = None
    _count: int = 0

    def say(self, text: str) -> None:
        self.said.append(text)
        self.listener({"event": "compress", "seconds": 0.0, "say": text})

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

    def step(self, steps: Sequence[str], state: Copy, scale: Scale, *, at_end: bool) -> tuple[Copy, Attempt]:
        """Try the settings of the last of ``steps``, on what those before it left; the first that passes.

        Raises
        ------
        NotCompressed
            None does.
        """
        name, chain, tried = name_of(steps[-1]), ",".join(map(name_of, steps)), list[Attempt]()
        plugin = plugins.load("compress", name)
        for setting in _settings(plugin, steps[-1], state):
            self._count += 1
            copy = state.again(state.folder.with_name(f"{name}-{self._count}"))
            plugin.run(copy, setting)
            copy.sealed(name, setting, scale.origin)
            found = scale.attempt(copy.folder, chain, setting, self.asked.task.fit.threads)
            missed = (*found.missed, *(self._unreached(found) if at_end else ()))
            found = replace(found, missed=missed, notes=tuple(copy.notes))
            tried.append(self.told(found, "kept" if not missed else "; ".join(missed)))
            self.tried.append(tried[-1])
            self.say(f"{chain}, {setting}: {tried[-1].figures['outcome']}")
            if not missed:
                for note in copy.notes:
                    self.say(note)
                return copy, tried[-1]
            if self.refused is not None:
                shutil.rmtree(self.refused[0].folder)
            self.refused = copy, tried[-1]
        raise self._refusal(chain, tried)

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

    def _refusal(self, chain: str, tried: Sequence[Attempt]) -> NotCompressed:
        problems = "; ".join(f"{one.figures['setting']}: {one.figures['outcome']}" for one in tried)
        only_target = any(all(said.startswith("target ") for said in one.missed) for one in tried)
        remedy = (
            "add a step, such as --to vocabulary,int8, or set a target that it reaches"
            if only_target
            else "keep the bundle as it is, or allow more: --set compress.flips=0.03"
        )
        return NotCompressed(f"no setting of {chain} passes: {problems}", remedy, table(self.tried))
