"""Several processes and machines, where a command asks for them; Ray is imported then, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunewright.core.run import Run
from tunewright.core.task import Task
from tunewright.pipeline.extras import needing, training


@contextmanager
def working(run: Run, task: Task, cluster: str | None) -> Iterator[None]:
    """Inside, the run's trainings by gradient are made by ``fit.workers`` processes, on a cluster if one is named.

    Raises
    ------
    TunewrightError
        Ray is not installed, or the cluster cannot be reached.
    """
    if task.fit.workers == 1 and cluster is None:
        yield
        return
    with needing("work in several processes", "ray"):
        import ray  # noqa: F401 - the others need it, and the extra `train` as well
    with training("`--workers`"):
        from tunewright.train.workers.away import elsewhere
    with elsewhere(run, task.fit, cluster):
        yield
