"""Who runs the trials of a search: this process, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.task import Task
from tunewright.pipeline.parts import Parts
from tunewright.pipeline.tune.measure import Objective, measured


class VerdictError(Exception):
    """Raised by the listener of a trial's run: the trial ends here."""


Outcome = list[float] | VerdictError | TunewrightError
"""Of a trial: one value per objective, or why there is none."""


@dataclass(frozen=True)
class Order:
    """A trial that is to be run; its run has a folder and a listener of its own."""

    number: int
    task: Task
    run: Run


class Hands(Protocol):
    """Those that run trials, ``places`` of them at a time."""

    places: int

    def begin(self, order: Order) -> None:
        """Take a trial on."""
        ...

    def ended(self) -> tuple[int, Outcome]:
        """Wait until one of the trials has ended: its number, and what came of it."""
        ...


class Here:
    """This process."""

    places = 1

    def __init__(self, parts: Parts, objectives: Sequence[Objective]) -> None:
        self._parts = parts
        self._objectives = objectives
        self._orders: list[Order] = []

    def begin(self, order: Order) -> None:
        self._orders.append(order)

    def ended(self) -> tuple[int, Outcome]:
        order = self._orders.pop(0)
        try:
            return order.number, measured(order.task, self._parts, order.run, self._objectives)
        except (VerdictError, TunewrightError) as error:
            return order.number, error
