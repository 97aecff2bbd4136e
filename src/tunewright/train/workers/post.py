"""The post between a command and its workers: what these tell, and how far the command's clock is."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.core.run import Run

SECONDS = 0.2
"""Between two letters of a worker; what is to be seen at once goes at once."""
Letter = tuple[str, tuple[Any, ...], dict[str, Any], float]
"""(name of a run's method, its arguments, its facts, seconds that the worker's run shows)"""


@dataclass(frozen=True)
class Orders:
    """What a worker is told when it tells something: the run's clock, Ctrl-C, and whether all that it does is over."""

    elapsed: float = 0.0
    interrupted: bool = False
    over: bool = False


class Office:
    """Where letters lie until they are fetched; one box for each piece of work. An actor of Ray."""

    def __init__(self) -> None:
        self._boxes: defaultdict[str, list[Letter]] = defaultdict(list)
        self._orders: dict[str, Orders] = {}

    def tell(self, box: str, letters: list[Letter]) -> Orders:
        self._boxes[box] += letters
        return self._orders.get(box, Orders())

    def fetch(self, orders: Mapping[str, Orders]) -> dict[str, list[Letter]]:
        """The letters in the boxes that orders are given for, which are emptied."""
        self._orders.update(orders)
        return {box: self._boxes.pop(box, []) for box in orders}


class OverError(Exception):
    """The command has no use any more for what this process does."""


class AwayRun(Run):
    """The run of a command as one of its workers has it: what would be logged is told there.

    tell : letters → orders; None for a worker that tells nothing
    """

    def __init__(
        self, folder: Path, out: Path, seconds: float, work: Path, tell: Callable[[list[Letter]], Orders] | None
    ) -> None:
        super().__init__(folder, out, seconds / 60)
        self.work = work
        self._send = tell
        self._letters: list[Letter] = []
        self._sent = 0.0
        self.send()

    def log(self, event: str, **facts: Any) -> None:
        self._write("log", (event,), facts)
        self.send()

    def note(self, event: str, **facts: Any) -> None:
        self._write("note", (event,), facts)

    def progress(self, stage: str, share: float, **facts: Any) -> None:
        self._write("progress", (stage, share), facts)
        if time.monotonic() - self._sent >= SECONDS:
            self.send()

    def send(self) -> None:
        """Send what was not sent yet, and do as is told.

        Raises
        ------
        OverError
            The command needs none of this any more.
        """
        if self._send is None:
            return
        orders = self._send(self._letters)
        self._letters, self._sent = [], time.monotonic()
        self.reach(orders.elapsed)
        self.interrupted = orders.interrupted
        if orders.over:
            raise OverError

    def _write(self, method: str, arguments: tuple[Any, ...], facts: dict[str, Any]) -> None:
        if self._send is not None:
            self._letters.append((method, arguments, facts, self.elapsed))


def read_out(letters: list[Letter], run: Run) -> None:
    """Let the command's run say what a worker's wrote."""
    for method, arguments, facts, seconds in letters:
        run.reach(seconds)
        getattr(run, method)(*arguments, **facts)
