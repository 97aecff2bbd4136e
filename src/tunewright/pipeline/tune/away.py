"""Trials side by side, as tasks of Ray; the journal of the search is written by the command alone."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.task import Task, varied
from tunewright.pipeline.parts import Parts
from tunewright.pipeline.tune.hands import Order, Outcome, VerdictError
from tunewright.pipeline.tune.measure import Objective, measured, read_objectives
from tunewright.runtime.threads import available
from tunewright.train.search import RETRIES
from tunewright.train.workers import cluster
from tunewright.train.workers.parcel import Parcel, opened, pack
from tunewright.train.workers.post import AwayRun, Letter, Office, Orders, OverError, read_out

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 10.0
"""For trials to end by themselves that are to end; then their processes are ended."""


@dataclass(frozen=True)
class _Place:
    """Where a trial's run is: as in ``Run``."""

    folder: Path
    out: Path
    work: Path
    seconds: float


@contextmanager
def side_by_side(
    task: Task, parts: Parts, run: Run, objectives: Sequence[Objective], address: str | None
) -> Iterator[Away]:
    """Ray tasks, ``fit.workers`` at a time, on a cluster, or on a Ray that is started here and stopped at the end.

    Raises
    ------
    TunewrightError
        The cluster cannot be reached.
    """
    places = task.fit.workers
    with cluster.opened(address, places) as place:
        run.log("cluster", workers=places, address=address, say=f"{places} trials at a time, on {place}")
        cpus = cluster.room(places)
        if cpus < 1 or (address is None and places > available()):
            run.log("crowded", say=f"there are fewer CPUs than {places} trials at a time: they take turns")
        threads = max(1, (task.fit.threads or available()) // places)
        parcel = pack(run.work / "workers" / "parts.pt", parts)
        away = Away(run, parcel, [one.name for one in objectives], places, cpus, threads)
        try:
            yield away
        finally:
            away.close()
            parcel.path.unlink(missing_ok=True)


class Away:
    """The processes of a Ray that is connected."""

    def __init__(self, run: Run, parts: Parcel, objectives: list[str], places: int, cpus: float, threads: int) -> None:
        self.places = places
        self._run = run
        self._parts = parts
        self._objectives = objectives
        self._threads = threads
        self._office = ray.remote(num_cpus=0)(Office).remote()
        self._tried = ray.remote(num_cpus=cpus, max_retries=RETRIES)(_tried)
        self._orders: dict[int, Order] = {}
        self._tasks: dict[int, Any] = {}
        self._verdicts: dict[int, VerdictError] = {}
        self._begun: Counter[int] = Counter()

    def begin(self, order: Order) -> None:
        run = order.run
        task = varied(order.task, {"fit.threads": self._threads, "fit.workers": 1})
        place = _Place(run.folder, run.out, run.work, run.seconds)
        self._orders[order.number] = order
        self._read()  # so that it finds the time when it asks
        self._tasks[order.number] = self._tried.remote(
            task, self._parts, self._objectives, place, self._office, order.number
        )

    def ended(self) -> tuple[int, Outcome]:
        since: float | None = None
        while True:
            done, _ = ray.wait(list(self._tasks.values()), timeout=POLL_SECONDS)
            self._read()
            for number, task in self._tasks.items():
                if task in done:
                    return self._end(number)
            if self._verdicts:
                since = since or time.monotonic()
                for number in self._verdicts if time.monotonic() - since > PATIENCE_SECONDS else ():
                    ray.cancel(self._tasks[number], force=True)

    def close(self) -> None:
        for task in self._tasks.values():
            ray.cancel(task, force=True)
        ray.kill(self._office)

    def _end(self, number: int) -> tuple[int, Outcome]:
        task, order = self._tasks.pop(number), self._orders.pop(number)
        verdict = self._verdicts.pop(number, None)
        if verdict is not None:
            return number, verdict
        try:
            values: list[float] = ray.get(task)
        except RayTaskError as error:
            if isinstance(error.cause, TunewrightError):
                return number, error.cause
            raise
        except RayError as error:
            died = f"its process died {self._begun[number]} times: {str(error).strip().splitlines()[0][:200]}"
            return number, TunewrightError(died, f"{order.run.folder / 'run.jsonl'} tells how far it came")
        return number, values

    def _read(self) -> None:
        """Pass on what the trials tell; their listeners may end them."""
        told = {
            str(number): Orders(order.run.elapsed, over=number in self._verdicts)
            for number, order in self._orders.items()
        }
        letters: dict[str, list[Letter]] = ray.get(self._office.fetch.remote(told))
        for number in self._orders:
            for letter in letters[str(number)]:
                if letter[0] == "begun":
                    self._tell_begun(number, *letter[1])
                elif number not in self._verdicts:
                    self._heard(number, [letter])
            if self._run.stopping and number not in self._verdicts:
                # Whatever it hears now, its listener ends it.
                self._heard(number, [("progress", ("waiting", 0.0), {}, 0.0)])

    def _heard(self, number: int, letters: list[Letter]) -> None:
        try:
            read_out(letters, self._orders[number].run)
        except VerdictError as verdict:
            self._verdicts[number] = verdict

    def _tell_begun(self, number: int, host: str, pid: int) -> None:
        if self._begun[number]:
            said = f"trial {number}: its process died; it is tried again, from its last checkpoint"
            self._run.log("died", trial=number, say=said)
        self._begun[number] += 1
        self._run.log("begun", trial=number, host=host, pid=pid)


def _tried(task: Task, parts: Parcel, objectives: list[str], place: _Place, office: Any, number: int) -> list[float]:
    """On the cluster: one trial."""

    def tell(letters: list[Letter]) -> Orders:
        orders: Orders = ray.get(office.tell.remote(str(number), letters))
        return orders

    tell([("begun", (platform.node(), os.getpid()), {}, 0.0)])
    try:
        run = AwayRun(place.folder, place.out, place.seconds, place.work, tell)
        values = measured(task, opened(parts, run), run, read_objectives(objectives))
        run.send()
    except OverError:
        return []
    return values
