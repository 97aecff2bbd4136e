"""The trials of a search, until there are enough of them or the time is over."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.space import Field
from tunewright.core.task import Task, varied
from tunewright.pipeline.parts import Parts
from tunewright.pipeline.release import key_of
from tunewright.pipeline.tune.hands import Hands, Order, Outcome, VerdictError
from tunewright.pipeline.tune.measure import Objective
from tunewright.pipeline.tune.told import record_of, said, told, write

if TYPE_CHECKING:
    from tunewright.train.search import Open, Study

KNOWN_IN_A_ROW = 50
"""Draws of settings that were tried before, after which the search space counts as tried out."""


class _Given(VerdictError):
    """The trial is given up: its score is behind that of most others."""


class _Cut(VerdictError):
    """The search ends in the midst of a trial."""


class Clock:
    """Keeps on disk how long a search has run, so that the minutes of a process that was killed count."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._file = run.work / "seconds"
        self._last = 0.0
        try:
            run.reach(float(self._file.read_text()))
        except (OSError, ValueError):
            self.keep()

    def keep(self, seconds: float = 0.0) -> None:
        """Write the time down, if the last time was ``seconds`` ago."""
        if time.monotonic() - self._last < seconds:
            return
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._run.elapsed:.3f}")
        os.replace(new, self._file)
        self._last = time.monotonic()


def take_up(run: Run, task: Task, parts: Parts, space: Sequence[Field], objectives: Sequence[Objective]) -> Clock:
    """Set the run's work to the folder of this search: of the same rows, settings, space and objectives."""
    depends = [key_of(task, parts), [str(one) for one in space], [one.name for one in objectives]]
    key = hashlib.sha256(json.dumps(depends).encode()).hexdigest()
    run.work = run.folder / f"tune-{key[:16]}"
    if run.work.is_dir():
        run.log("continues", say="the same search was begun before: its trials are taken up")
    elif any(run.folder.glob("tune-*")):
        other = "an earlier search here had other rows, settings or objectives: this one starts anew, beside it"
        run.log("anew", say=other)
    run.work.mkdir(exist_ok=True)
    return Clock(run)


@dataclass(frozen=True)
class Search:
    """One search: its study, what all trials share, and its run, whose ``work`` is the folder of the search."""

    study: Study
    task: Task
    parts: Parts
    space: tuple[Field, ...]
    objectives: Sequence[Objective]
    run: Run
    clock: Clock
    hands: Hands

    def go(self, trials: int, *, force: bool) -> None:
        """Try settings until there are ``trials`` that count, the minutes are over, or nothing new is drawn."""
        run = self.run
        for number in self.study.take_up():
            run.log("died", trial=number, say=f"trial {number} was not at its end: it is taken up again")
        if run.out.exists() and not force and self.counted() < trials:
            raise TunewrightError(
                f"{run.out}: it exists already", "pass --force to replace it, or choose another --out"
            )
        under_way: dict[int, tuple[Open, Run]] = {}
        new = True
        while True:
            while new and len(under_way) < self.hands.places and self.counted() + len(under_way) < trials:
                trial = None if run.stopping else self._drawn()
                new = trial is not None
                if trial is not None:
                    under_way[trial.number] = trial, self._begun(trial)
            if not under_way:
                return
            number, outcome = self.hands.ended()
            self._ended(*under_way.pop(number), outcome)
            self._tidy()
            write(run, record_of(self.study.trials, self.space, self.objectives, self.task, self.parts))

    def counted(self) -> int:
        return sum(one.counts for one in self.study.trials)

    def _drawn(self) -> Open | None:
        """The next trial; None where only settings are drawn that were tried before."""
        for _ in range(KNOWN_IN_A_ROW):
            trial = self.study.ask(self.space, self.task.fit.method)
            twin = trial.twin()
            if twin is None:
                return trial
            trial.give_way(twin)
        said = f"nothing new in {KNOWN_IN_A_ROW} draws: the search space is tried out"
        self.run.log("tried out", say=said)
        return None

    def _begun(self, trial: Open) -> Run:
        """Let one trial begin, and give its run."""
        task = varied(self.task, trial.params | {"search": {}})
        folder = self.run.work / f"trial-{trial.home}"
        folder.mkdir(exist_ok=True)
        own = Run(folder, self.run.out, task.fit.minutes, _heard(trial, task, self.run, self.clock), force=True)
        own.continues(key_of(task, self.parts))
        own.work.mkdir(exist_ok=True)
        _share_cache(own.work, self.run.work)
        self.hands.begin(Order(trial.number, task, own))
        return own

    def _ended(self, trial: Open, own: Run, outcome: Outcome) -> None:
        """Write down what came of a trial; one that the end of the search cut short is taken up by the next command."""
        if isinstance(outcome, _Cut):
            trial.leave()
            return
        if isinstance(outcome, _Given):
            trial.prune(own.elapsed)
        elif isinstance(outcome, Exception):
            trial.fail(str(outcome), own.elapsed)
        else:
            trial.finish(outcome, own.elapsed)
        self.clock.keep()
        done = told(self.study.trials[trial.number], self.objectives)
        line = said(done, [one.name for one in self.objectives])
        self.run.log("trial", say=f"trial {trial.number} {line}", trial=done)

    def _tidy(self) -> None:
        """Keep checkpoints only of the best trial, which may be released, and of one that is not at its end."""
        from tunewright.train.search import best

        found = self.study.trials
        now = best(found, [one.highest for one in self.objectives])
        kept = {one.home for one in found if one.state in ("stopped", "waiting") or one is now}
        for folder in self.run.work.glob("trial-*"):
            if folder.name.removeprefix("trial-") not in map(str, kept):
                for work in (*folder.glob("work-*"), folder / "staged"):
                    shutil.rmtree(work, ignore_errors=True)


def _heard(trial: Open, task: Task, run: Run, clock: Clock) -> Callable[[dict[str, Any]], None]:
    """The listener of a trial's own run: passes on what is to be seen, and ends the trial where it should end."""

    def listen(record: dict[str, Any]) -> None:
        clock.keep(1.0)
        if run.stopping:
            raise _Cut
        if record["event"] == "progress":
            facts = {key: value for key, value in record.items() if key not in ("event", "stage", "share", "seconds")}
            run.progress(f"trial {trial.number}: {record['stage']}", record["share"], **facts)
        elif record["event"] == "epoch":
            run.log("epoch", trial=trial.number, score=record["score"], say=f"trial {trial.number}: {record['say']}")
            # The epochs of the several methods that `auto` tries do not compare.
            behind = record["method"] == task.fit.method and trial.report(record["epoch"], record["score"])
            if behind and record["epoch"] < task.fit.epochs:
                raise _Given

    return listen


def _share_cache(work: Path, folder: Path) -> None:
    """Let all trials keep frozen activations in one place, where each finds those of the others by their digests."""
    shared = folder / "cache"
    shared.mkdir(exist_ok=True)
    if not os.path.lexists(work / "cache"):
        (work / "cache").symlink_to(os.path.abspath(shared))
