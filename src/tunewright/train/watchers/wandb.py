"""Weights & Biases: a run with settings, curves over the steps and the results in its summary."""

from __future__ import annotations

import wandb

from tunewright.core.journal import Following, Record
from tunewright.train.watchers._points import point, settings


class WandbWatcher:
    """Goes on with the same run after a kill. Project, access and mode are what its own variables say."""

    def __init__(self, following: Following) -> None:
        known = following.kept("wandb.run") or None
        self._run = wandb.init(name=following.name, dir=str(following.folder), id=known, resume="allow")
        following.keep("wandb.run", self._run.id)
        self._courses: set[str] = set()

    def note(self, record: Record) -> None:
        told = settings(record)
        if told:
            self._run.config.update(told, allow_val_change=True)
        found = point(record)
        if found is None:
            return
        if not found.course:
            self._run.summary.update(found.values)
            return
        if found.course not in self._courses:  # each training counts its own steps
            self._courses.add(found.course)
            self._run.define_metric(f"{found.course}/step")
            self._run.define_metric(f"{found.course}/*", step_metric=f"{found.course}/step")
        self._run.log(
            {f"{found.course}/{name}": value for name, value in (("step", found.step), *found.values.items())}
        )

    def close(self, ended: str) -> None:
        self._run.finish(exit_code=0 if ended == "finished" else 1)
