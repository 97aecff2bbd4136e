"""Trainings by gradient in several processes, through Ray Train: sent away, followed, and brought home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import ray
from ray.exceptions import RayError
from torch import nn

from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.sections import Fit
from tunewright.runtime.threads import available
from tunewright.train.course import Best, Course
from tunewright.train.workers import cluster
from tunewright.train.workers.parcel import Parcel, opened, pack
from tunewright.train.workers.post import Letter, Office, Orders, read_out
from tunewright.train.workers.worker import BOX, Job, Made, group, versions

FAILURES = 3
"""How often workers that failed are started again in one training."""
POLL_SECONDS = 0.2
COMPANION_LOST = "gloo"
"""Stands in what those say whose companion is gone: it is no reason of their own."""


@contextmanager
def elsewhere(run: Run, fit: Fit, address: str | None = None) -> Iterator[None]:
    """Inside, ``descend`` lets ``fit.workers`` processes make the run's trainings.

    address : of a Ray cluster, which is connected to at once; without one a local Ray is started by the first training

    Raises
    ------
    TunewrightError
        The cluster cannot be reached.
    """
    with ExitStack() as stack:
        workers = Workers(run, fit, address, stack)
        if address is not None:
            workers.connect()
        run.elsewhere = workers
        try:
            yield
        finally:
            run.elsewhere = None


class Workers:
    """Makes one training after the other. ``stack`` is closed when there are no more."""

    def __init__(self, run: Run, fit: Fit, address: str | None, stack: ExitStack) -> None:
        self._run = run
        self._fit = fit
        self._address = address
        self._stack = stack
        self._connected = False

    def connect(self) -> None:
        if self._connected:
            return
        place = self._stack.enter_context(cluster.opened(self._address, self._fit.workers))
        self._connected = True
        self._run.log("cluster", workers=self._fit.workers, address=self._address, say=f"works on {place}")

    def __call__(self, course: Course, model: nn.Module) -> tuple[Best, dict[str, Any]]:
        """As ``loop.descend``.

        Raises
        ------
        TunewrightError
            The workers failed more than ``FAILURES`` times; they do not see the run's folder, or have other versions.
        """
        self.connect()
        folder = self._run.work / "workers"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            job = self._job(pack(folder / "course.pt", (course, model)), course)
            made: Made = opened(_Training(job, course.name, self._run).followed(), self._run)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        made.put_into(course, model)
        return made.best, made.told

    def _job(self, parcel: Parcel, course: Course) -> Job:
        run, fit, cpus = self._run, self._fit, cluster.room(self._fit.workers)
        if cpus < 1 or (self._address is None and fit.workers > available()):
            run.log("crowded", say=f"there are fewer CPUs than {fit.workers} workers: they take turns")
        return Job(
            parcel,
            folder=run.folder,
            out=run.out,
            work=run.work,
            seconds=run.seconds,
            workers=fit.workers,
            cpus=cpus,
            gpu=course.device.type == "cuda",
            threads=fit.threads,
            failures=FAILURES,
            versions=versions(),
        )


class _Training:
    """One training that is under way elsewhere."""

    def __init__(self, job: Job, name: str, run: Run) -> None:
        self._job = job
        self._name = name
        self._run = run
        self._begun = 0
        self._said = ""
        """What the worker said that failed last."""
        self._made: Parcel | None = None

    def followed(self) -> Parcel:
        """Let the workers begin, pass on what they tell, and return what they made."""
        office = ray.remote(num_cpus=0)(Office).remote()
        self._post(office)  # so that the first who asks is told the time
        task = ray.remote(num_cpus=0, max_retries=0)(group).remote(self._job, office)
        done: list[Any] = []
        try:
            while not done:
                done, _ = ray.wait([task], timeout=POLL_SECONDS)
                self._post(office)
            ray.get(task)
        except (RayError, ConnectionError) as error:
            raise self._failed(error) from error
        finally:
            with suppress(Exception):  # nothing of it is there any more where the cluster is gone
                if not done:
                    ray.cancel(task, force=True)
                ray.kill(office)
        assert self._made is not None
        return self._made

    def _post(self, office: Any) -> None:
        orders = Orders(self._run.elapsed, self._run.interrupted)
        for letter in ray.get(office.fetch.remote({BOX: orders}))[BOX]:
            self._read(letter)

    def _read(self, letter: Letter) -> None:
        what, arguments, _, _ = letter
        if what == "begun":
            self._tell_begun(*arguments)
        elif what == "failed":
            rank, host, text = arguments
            said = f"{self._name}: worker {rank} on {host} failed: {text.strip().splitlines()[-1]}"
            if COMPANION_LOST not in text:
                self._said = self._said or said
            self._run.log("worker failed", rank=rank, host=host, text=text, say=said)
        elif what == "refused":
            raise arguments[0]
        elif what == "made":
            self._made = arguments[0]
        else:
            read_out([letter], self._run)

    def _tell_begun(self, places: list[tuple[str, int, int]]) -> None:
        workers = [{"host": host, "pid": pid, "threads": threads} for host, pid, threads in places]
        hosts = ", ".join(sorted({host for host, _, _ in places}))
        if self._begun:
            why = self._said.removeprefix(f"{self._name}: ") or "a worker was gone without a word"
            said = f"{self._name}: {why}; all were started again ({self._begun} of at most {self._job.failures})"
            self._run.log("restart", number=self._begun, workers=workers, say=said)
        else:
            threads = " + ".join(str(one["threads"]) for one in workers)
            said = f"{self._name}: {len(workers)} workers on {hosts} ({threads} threads)"
            self._run.log("workers", workers=workers, say=said)
        self._begun, self._said = self._begun + 1, ""

    def _failed(self, error: Exception) -> TunewrightError:
        if not self._begun and not self._said:
            problem = f"{self._name}: the workers could not be started: {str(error).strip().splitlines()[-1][:300]}"
            return TunewrightError(problem, "look at the cluster with `ray status`, or pass --workers 1")
        said = self._said.removeprefix(f"{self._name}: ") or "a worker was gone without a word (killed, or no memory)"
        return TunewrightError(
            f"{self._name}: the workers failed {self._begun} times; the last time: {said}",
            f"mend it ({self._run.folder / 'run.jsonl'} has more) and start the command again: it goes on from the "
            "last checkpoint",
        )
