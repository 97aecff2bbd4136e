"""``tune``: fits with other settings, judged on the validation part; the best one is released as ``fit`` would."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright import audit
from tunewright.core.errors import Interrupted, TunewrightError
from tunewright.core.journal import read_journal
from tunewright.core.run import Listener, Run, start
from tunewright.core.space import read_space
from tunewright.core.task import Sources, Task, varied
from tunewright.core.task import settings as settings_of
from tunewright.pipeline.extras import needing, training
from tunewright.pipeline.folds import check_folds
from tunewright.pipeline.parts import Parts, read_parts
from tunewright.pipeline.release import judge_and_release, key_of, kinds_of, learnt, say_split
from tunewright.pipeline.tasks import Source, describe
from tunewright.pipeline.tune.hands import Hands, Here
from tunewright.pipeline.tune.measure import Objective, read_objectives
from tunewright.pipeline.tune.told import record_of, write
from tunewright.pipeline.tune.trials import Search, take_up
from tunewright.pipeline.watch import watching
from tunewright.runtime.predictor import Predictor, load

if TYPE_CHECKING:
    from tunewright.train.search import Trial

__all__ = ["Tuned", "tune"]


@dataclass(frozen=True)
class Tuned:
    """What a search gave: the bundle of the trial that was chosen, and the record of all trials (JSON values)."""

    predictor: Predictor
    record: dict[str, Any]


def tune(
    train: Source = None,
    *,
    out: str | Path,
    trials: int = 20,
    minutes: float | None = None,
    search: Mapping[str, str] | None = None,
    objective: str | Sequence[str] = "accuracy",
    pick: int | None = None,
    test: Source = None,
    text: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    kind: str | None = None,
    task: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
    cluster: str | None = None,
    listener: Listener | None = None,
) -> Tuned:
    """Search for settings of ``[fit]`` on the validation part, and release the best as a bundle at ``out``.

    The same command goes on where an earlier one stopped or was killed.

    Parameters
    ----------
    trials : how many in all, those of earlier commands included
    minutes : time for all trials, that of earlier commands included; default: no limit but ``fit.minutes`` of each
    search : dotted name → ``a..b`` or ``a|b|c``; wins over ``[search]`` of the task
    objective : ``accuracy``, ``latency``, ``size`` or several of them; the best of the first one is released
    pick : number of the trial that is released instead
    cluster : ``ray://HOST:PORT``, where ``fit.workers`` trials run at a time; without it they do on this machine

    The others are as for ``fit``.

    Raises
    ------
    TunewrightError
        The rows, the task, the search or the place do not allow it, or no trial came to its end; exit code 2.
    GateMissed
        A gate does not hold for the trial that was chosen; the search itself is kept.

    Examples
    --------
    >>> tuned = tune("train.csv", text="text", label="category", out="tuned/", trials=10)      # doctest: +SKIP
    >>> tuned.record["winner"]                                                                  # doctest: +SKIP
    7
    """
    _check_numbers(trials, minutes)
    objectives = read_objectives(objective)
    asked = dict(settings or {}) | {f"search.{name}": values for name, values in (search or {}).items()}
    resolved, sources = describe(
        train, text=text, label=label, target=target, test=test, kind=kind, task=task, settings=asked
    )
    space = read_space(resolved)
    audit.check_gates(resolved.gates, kinds_of(resolved), resolved.audit.groups)
    check_folds(resolved)
    with training("`tune`"):
        from tunewright.train.search import Study

    with start(Path(out), minutes or math.inf, force=force, listener=listener, continues=True) as run:
        run.log("settings", settings={name: [value, sources[name]] for name, value in settings_of(resolved).items()})
        for field in space:
            run.log("search", say=f"searches {field.name} = {field}")
        parts = read_parts(resolved, train, test)
        run.log("check", issues=[issue.record() for issue in parts.issues])
        say_split(resolved, run)
        clock = take_up(run, resolved, parts, space, objectives)
        study = Study(run.work, [one.highest for one in objectives], resolved.seed)
        with _hands(resolved, parts, run, objectives, cluster) as hands:
            Search(study, resolved, parts, space, objectives, run, clock, hands).go(trials, force=force)
        chosen = _chosen(study.trials, objectives, pick, run, minutes)
        record = record_of(study.trials, space, objectives, resolved, parts, chosen.number)
        write(run, record)
        run.log("tuned", **record)
        _release(chosen, record, resolved, sources, parts, run, force=force, listener=listener)
    return Tuned(load(out), record)


@contextmanager
def _hands(task: Task, parts: Parts, run: Run, objectives: Sequence[Objective], cluster: str | None) -> Iterator[Hands]:
    """What runs the trials: this process, or several where ``fit.workers`` or a cluster asks for them."""
    if task.fit.workers == 1 and cluster is None:
        yield Here(parts, objectives)
        return
    with needing("work in several processes", "ray"):
        import ray  # noqa: F401 - the other libraries are in the extra `train`
    from tunewright.pipeline.tune.away import side_by_side

    with side_by_side(task, parts, run, objectives, cluster) as away:
        yield away


def _check_numbers(trials: int, minutes: float | None) -> None:
    if trials < 1:
        raise TunewrightError(f"--trials {trials}: there is nothing to try", "pass --trials 1 or more")
    if minutes is not None and not 0 < minutes < math.inf:
        raise TunewrightError(f"--minutes {minutes:g}: no trial fits in", "pass more minutes, or leave --minutes out")


def _chosen(
    trials: Sequence[Trial], objectives: Sequence[Objective], pick: int | None, run: Run, minutes: float | None
) -> Trial:
    from tunewright.train.search import best

    finished = [one for one in trials if one.state == "finished" and one.same_as is None]
    if pick is not None:
        by_number = {one.number: one for one in finished}
        if pick not in by_number:
            known = ", ".join(map(str, by_number)) or "(there is none)"
            raise TunewrightError(f"--pick {pick}: there is no such finished trial", f"use one of: {known}")
        return by_number[pick]
    found = best(trials, [one.highest for one in objectives])
    if found is not None:
        return found
    if run.interrupted:
        raise Interrupted("stopped before a trial was finished; nothing was changed", "start the command again")
    if run.stopping:
        raise TunewrightError(
            f"no trial was finished in {minutes:g} minutes",
            "pass more --minutes: the same command goes on where this one stopped",
        )
    reasons = [one.reason for one in trials if one.reason]
    problem, _, remedy = (reasons[-1] if reasons else "").partition(" → ")
    raise TunewrightError(f"no trial was finished; the last one: {problem}", remedy or "search over other settings")


def _release(
    chosen: Trial,
    record: Mapping[str, Any],
    task: Task,
    sources: Sources,
    parts: Parts,
    run: Run,
    *,
    force: bool,
    listener: Listener | None,
) -> None:
    """Fit what was chosen as ``fit`` does, from the checkpoints of the trial where they are there still."""
    task = varied(task, chosen.params | {"search": {}})
    known = {name: source for name, source in sources.items() if not name.startswith("search")}
    sources = known | {"search": "default"} | dict.fromkeys(chosen.params, "search")
    own = Run(run.folder, run.out, task.fit.minutes, listener, force=force)
    _take_over(run.work / f"trial-{chosen.home}", f"work-{key_of(task, parts)[:16]}", own)
    run.log("chosen", trial=chosen.number, say=f"trial {chosen.number} is fitted for release and judged")
    if parts.judged_on == "validation":
        run.log("chosen", say="there is no test part: the figures are of the rows that the settings were chosen on")
    with watching(own, task):
        own.note("settings", settings={name: [value, sources[name]] for name, value in settings_of(task).items()})
        manifest, logits, folds = learnt(task, sources, parts, own)
        told = {name: record[name] for name in ("objectives", "space", "frontier", "winner")}
        manifest = replace(manifest, run=manifest.run | {"tune": told | {"trials": len(record["trials"])}})
        judge_and_release(manifest, logits, task, parts, own, folds)
    for folder in run.work.glob("trial-*"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(run.work / "cache", ignore_errors=True)


def _take_over(folder: Path, work: str, run: Run) -> None:
    """Move what a trial kept to the run that goes on with it, with what its journal tells."""
    if (folder / work).is_dir() and not (run.folder / work).exists():
        os.rename(folder / work, run.folder / work)
        for told in read_journal(folder / run.journal.path.name):
            run.journal.write(told)
