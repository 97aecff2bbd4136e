"""The study behind ``tune``: what is tried next, what is given up early, and a journal that outlives a kill.

Sampler, pruner and journal are Optuna's. Source: Akiba et al. 2019; Bergstra et al. 2011 for the sampler (TPE).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from tunewright.core import plugins
from tunewright.core.space import Field, drawn
from tunewright.train import device
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted
from tunewright.train.learn import learn

FEWEST = 4
"""Trials that must have told a score after an epoch before one is given up for its score after that epoch."""
RETRIES = 2
"""How often a trial is tried again in which the process died."""
STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "stopped",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True)
class Trial:
    """One trial as the journal holds it.

    state : ``finished``, ``pruned`` (given up early), ``failed``, ``died`` (with its process; tried again under another
        number), ``stopped`` (on the way), ``waiting``
    values : one per objective, where it is finished
    scores : epoch → score on the validation part
    home : number under which its settings were tried first
    same_as : the earlier trial with the same settings, for which it gave way
    """

    number: int
    params: dict[str, Any]
    state: str
    values: tuple[float, ...] | None = None
    seconds: float = 0.0
    reason: str = ""
    scores: dict[int, float] = field(default_factory=dict)
    home: int = 0
    same_as: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for."""
        return self.same_as is None and self.state in ("finished", "pruned", "failed")


class Study:
    """The trials of one search, in a journal in ``folder``, which one process at a time holds.

    highest : for each objective, whether more is better
    """

    def __init__(self, folder: Path, highest: Sequence[bool], seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path = folder / "journal.jsonl"
        _mend(path)
        self.seed = seed
        self.prunes = list(highest) == [True]  # scores after an epoch foretell an accuracy, and nothing else
        self._study = optuna.create_study(
            study_name="tune",
            storage=JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path)))),
            directions=["maximize" if one else "minimize" for one in highest],
            pruner=MedianPruner(n_min_trials=FEWEST),
            load_if_exists=True,
        )

    @property
    def trials(self) -> list[Trial]:
        found = self._study.get_trials(deepcopy=False)
        retried = _retried(found)
        return [_read(one, tried_again=one.number in retried) for one in found]

    def take_up(self) -> list[int]:
        """Queue what was running when an earlier process ended, with the same settings; numbers of those trials."""
        found = self._study.get_trials(deepcopy=False)
        retried = _retried(found)
        dead = [one for one in found if one.state is TrialState.RUNNING]
        for one in dead:
            told = one.user_attrs
            deaths = told.get("deaths", 0) + (not told.get("left"))
            # The settings of one that ended while they were drawn are drawn again, from the same seed.
            if told.get("drawn") and deaths <= RETRIES and one.number not in retried:
                again = {"retry_of": one.number, "deaths": deaths, "home": told.get("home", one.number)}
                self._study.enqueue_trial(one.params, user_attrs=again)
            self._study.tell(one.number, state=TrialState.FAIL)
        return [one.number for one in dead]

    def ask(self, fields: tuple[Field, ...], method: str) -> Open:
        """The next trial: one that is queued, or else what the sampler draws.

        What is drawn depends on the seed and on the trials before alone, however often the process was started.

        method : the task's own, where the method is not searched
        """
        before = [one for one in self.trials if one.state not in ("died", "waiting")]
        seed = int(np.random.SeedSequence([self.seed, len(before)]).generate_state(1)[0])
        # The sampler comes back to the best settings, and where little is drawn it would do so without end.
        known = bool(before) and before[-1].same_as is not None
        self._study.sampler = RandomSampler(seed=seed) if known else TPESampler(seed=seed)
        trial = self._study.ask()
        for one in fields:
            if one.name == "fit.method":
                method = str(_suggest(trial, one))
        for one in drawn(fields, method):
            _suggest(trial, one)
        trial.set_user_attr("drawn", True)
        return Open(self, self._study, trial)


class Open:
    """A trial that is under way; it ends with one of ``finish``, ``prune``, ``fail`` and ``give_way``."""

    def __init__(self, study: Study, inner: optuna.Study, trial: optuna.Trial) -> None:
        self._study = study
        self._inner = inner
        self._trial = trial
        self.number: int = trial.number
        self.params: dict[str, Any] = dict(trial.params)
        self.home: int = trial.user_attrs.get("home", trial.number)
        self._reported: set[int] = set()
        retry_of = trial.user_attrs.get("retry_of")
        if retry_of is not None and study.prunes:  # it goes on from a checkpoint, and those epochs are not told again
            for epoch, score in inner.trials[retry_of].intermediate_values.items():
                self.report(epoch, score)

    def report(self, epoch: int, score: float) -> bool:
        """Tell the score after an epoch; true where the trial should be given up."""
        if not self._study.prunes:
            return False
        if epoch not in self._reported:
            self._reported.add(epoch)
            self._trial.report(score, epoch)
        return self._trial.should_prune()

    def twin(self) -> Trial | None:
        """An earlier trial with the same settings that has ended, or is under way."""
        others = [one for one in self._study.trials if one.number != self.number]
        found = (one for one in others if one.counts or one.state == "stopped")
        return next((one for one in found if one.params == self.params), None)

    def finish(self, values: Sequence[float], seconds: float) -> None:
        self._end(TrialState.COMPLETE, seconds, values)

    def leave(self) -> None:
        """Stay open, to be taken up by the next process."""
        self._trial.set_user_attr("left", True)

    def prune(self, seconds: float) -> None:
        self._end(TrialState.PRUNED, seconds)

    def fail(self, reason: str, seconds: float) -> None:
        self._trial.set_user_attr("reason", reason)
        self._end(TrialState.FAIL, seconds)

    def give_way(self, twin: Trial) -> None:
        """Give way to an earlier trial with the same settings; the sampler and the pruner do not see this one."""
        self._trial.set_user_attr("same_as", twin.number)
        self._end(TrialState.FAIL, 0.0)

    def _end(self, state: TrialState, seconds: float, values: Sequence[float] | None = None) -> None:
        self._trial.set_user_attr("seconds", round(seconds, 3))
        self._inner.tell(self._trial, values, state)


def frontier(trials: Sequence[Trial], highest: Sequence[bool]) -> list[Trial]:
    """The finished trials that no other one betters: is as good in every objective and better in one."""
    finished = [one for one in trials if one.state == "finished" and one.same_as is None]
    return [one for one in finished if not any(_betters(other, one, highest) for other in finished)]


def best(trials: Sequence[Trial], highest: Sequence[bool]) -> Trial | None:
    """Of the frontier the one with the best first objective; of several the first."""

    def rank(one: Trial) -> tuple[float, ...]:
        return tuple(_gain(one, highest))

    return max(frontier(trials, highest), key=rank, default=None)


def _betters(one: Trial, other: Trial, highest: Sequence[bool]) -> bool:
    pairs = list(zip(_gain(one, highest), _gain(other, highest), strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _gain(one: Trial, highest: Sequence[bool]) -> list[float]:
    return [value if up else -value for value, up in zip(one.values or (), highest, strict=True)]


def _suggest(trial: optuna.Trial, one: Field) -> Any:
    if one.choices:
        return trial.suggest_categorical(one.name, one.choices)
    if isinstance(one.low, int) and isinstance(one.high, int):
        return trial.suggest_int(one.name, one.low, one.high, log=one.log)
    return trial.suggest_float(one.name, one.low, one.high, log=one.log)


def _retried(found: Sequence[FrozenTrial]) -> set[int]:
    return {one.user_attrs["retry_of"] for one in found if "retry_of" in one.user_attrs}


def _read(one: FrozenTrial, *, tried_again: bool) -> Trial:
    told: Mapping[str, Any] = one.user_attrs
    state, reason = STATES[one.state], told.get("reason", "")
    if state == "failed" and "seconds" not in told:  # nobody was there to tell how long it took
        state = "died" if tried_again or not told.get("drawn") else "failed"
        reason = f"the process ended in it, {RETRIES + 1} times" if state == "failed" else ""
    return Trial(
        one.number,
        dict(one.params),
        state,
        tuple(one.values) if state == "finished" else None,
        told.get("seconds", 0.0),
        reason,
        dict(one.intermediate_values),
        told.get("home", one.number),
        told.get("same_as"),
    )


def _mend(path: Path) -> None:
    """Lift the lock of a process that was killed, and cut off a line that it left half written."""
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.is_file():
        whole = path.read_bytes().rfind(b"\n") + 1
        if whole < path.stat().st_size:
            os.truncate(path, whole)


def fitted_alone(context: Context) -> Fitted:
    """The task's method, without the baselines that a fit holds it against; ``auto`` climbs the ladder."""
    method = context.task.fit.method
    if method == "auto":
        return learn(context)[0]
    with device.threads(context.task.fit.threads):
        fitted: Fitted = plugins.load("methods", method).fit(context)
    device.give_back()
    return fitted
