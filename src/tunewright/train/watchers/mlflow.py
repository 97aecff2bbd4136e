"""MLflow: a run with the settings as parameters and the figures as metrics, where MLFLOW_TRACKING_URI says."""

from __future__ import annotations

import re

import mlflow

from tunewright.core.journal import Following, Record
from tunewright.train.watchers._points import point, settings

STATUS = {"finished": "FINISHED", "interrupted": "KILLED"}
LONGEST_NAME, LONGEST_VALUE = 250, 500
"""Characters of a parameter that every version takes."""
AT_ONCE = 100
"""Parameters that a server takes at once."""
ODD = re.compile(r"[^\w\-. /]")
"""What a name must not hold."""


class MlflowWatcher:
    """Goes on with the same run after a kill. Server, experiment and access are what MLflow's own variables say."""

    def __init__(self, following: Following) -> None:
        known = following.kept("mlflow.run")
        named = {"run_id": known} if known else {"run_name": following.name}
        run = mlflow.start_run(**named, nested=mlflow.active_run() is not None)
        following.keep("mlflow.run", run.info.run_id)
        self._told = bool(known)
        """A parameter is told once, so that a run which goes on has been told."""

    def note(self, record: Record) -> None:
        found = {_parameter(name): value[:LONGEST_VALUE] for name, value in settings(record).items()}
        told = [] if self._told else list(found.items())
        for first in range(0, len(told), AT_ONCE):
            mlflow.log_params(dict(told[first : first + AT_ONCE]))
        now = point(record)
        if now is not None:
            names = {name: f"{now.course}/{name}" if now.course else name for name in now.values}
            mlflow.log_metrics({ODD.sub("_", names[name]): one for name, one in now.values.items()}, step=now.step)

    def close(self, ended: str) -> None:
        mlflow.end_run(status=STATUS.get(ended, "FAILED"))


def _parameter(setting: str) -> str:
    """A slash in the name of a column would be read as a folder."""
    return ODD.sub("_", setting).replace("/", "_")[:LONGEST_NAME]
