"""The journal of a training: ``OUT.run/train.jsonl``, its figures line by line, and whoever follows it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tunewright.core.memory import peak_rss_bytes

Record = dict[str, Any]
"""One line: ``event``, ``seconds`` since the run began, and facts."""

STEPS = 20
"""Steps that one line tells of, where they take a second at the least and ten at the most."""
FEWEST_SECONDS, MOST_SECONDS = 1.0, 10.0
OF_A_COURSE = ("step", "epoch", "astray")
"""Events that belong to the training begun last, besides ``begin`` itself."""


@dataclass(frozen=True)
class Following:
    """What a watcher is told when it begins.

    name : what to call the run
    folder : ``OUT.run/``, where its files may lie
    work : what it keeps here it finds again where the same run goes on after a kill, and no other run does
    """

    name: str
    folder: Path
    work: Path

    def kept(self, file: str) -> str:
        """What ``keep`` wrote in an earlier process of this run; empty where there was none."""
        path = self.work / file
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def keep(self, file: str, text: str) -> None:
        """Write a file into ``work``, unless the run has let go of it meanwhile."""
        with suppress(FileNotFoundError):
            (self.work / file).write_text(text, encoding="utf-8")


class Watcher(Protocol):
    """Follows a training. One file of ``train/watchers/`` each, whose class takes a ``Following``.

    It runs in a thread of its own, in which its library may wait, and raise: then it is switched off, and that is said.
    """

    def note(self, record: Record) -> None:
        """Take note of a line of the journal."""
        ...

    def close(self, ended: str) -> None:
        """The run is over: ``finished``, ``refused``, ``interrupted`` or ``failed``."""
        ...


class Lines:
    """A file of JSON objects, one a line, that is only ever added to.

    A line that cannot be written is told of once and left out: what is computed does not depend on it.

    tell : called with why
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.path = path
        self._tell = tell
        self._told = False
        self._torn = True
        """Whether the last line may lack its end: another process wrote it, or there was no room for all of it."""

    def add(self, record: Mapping[str, Any]) -> None:
        text = json.dumps(_plain(record), ensure_ascii=False) + "\n"
        try:
            with open(self.path, "ab") as file:
                file.write(b"\n" * (self._torn and _cut_short(self.path)) + text.encode("utf-8", "replace"))
            self._torn = False
        except OSError as error:
            self._torn = True
            if not self._told:
                self._told = True
                self._tell(f"{self.path}: cannot be written: {error.strerror}; the run goes on without")


class Journal:
    """What a run tells of its training: every line is kept in a file, and passed on to those who follow.

    followers : called with each record after it is written
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.path = path
        self.followers: list[Callable[[Record], None]] = []
        self._lines = Lines(path, tell)
        self._course = ""
        self._group = _Group(-math.inf)

    def step(self, seconds: float, facts: Mapping[str, Any]) -> None:
        """Take note of one step; a line is written when it is time for one, and before anything else is."""
        self._group.add(facts)
        if self._group.due(seconds):
            self._close(seconds)

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one line; it is of the training begun last, where it is of one."""
        self._close(record["seconds"])
        record = dict(record)
        if record["event"] == "begin":
            self._course = str(record.get("course"))
            self._group = _Group(-math.inf)  # the first step is told at once
        elif record["event"] in OF_A_COURSE:
            record.setdefault("course", self._course)
        self._lines.add(record)
        for follow in self.followers:
            follow(record)

    def _close(self, seconds: float) -> None:
        if self._group.steps:
            told = {"event": "step", "seconds": round(seconds, 3), **self._group.told()}
            self._group = _Group(seconds)
            self.write(told | {"peak_rss_bytes": peak_rss_bytes()})


class _Group:
    """Steps that one line tells of: the mean of their loss, and their speed."""

    def __init__(self, begun: float) -> None:
        self.steps = 0
        self._begun = begun
        self._loss = self._cost = self._took = 0.0
        self._last: Mapping[str, Any] = {}

    def add(self, facts: Mapping[str, Any]) -> None:
        self.steps += 1
        self._loss += facts["loss"]
        self._cost += facts["cost"]
        self._took += facts["took"]
        self._last = facts

    def due(self, seconds: float) -> bool:
        since = seconds - self._begun
        return since >= (FEWEST_SECONDS if self.steps >= STEPS else MOST_SECONDS)

    def told(self) -> Record:
        kept = {name: self._last[name] for name in ("method", "epoch", "step", "steps", "learning_rate")}
        speed = self._cost / max(self._took, 1e-9)
        return kept | {"loss": round(self._loss / self.steps, 6), "cost_per_second": round(speed, 1)}


def read_journal(path: Path) -> list[Record]:
    """The records of a journal, in order; lines that are damaged are left out. Empty where there is no file.

    >>> read_journal(Path("nowhere/train.jsonl"))
    []
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    return [record for line in lines if (record := _read(line)) is not None]


def _read(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("event"), str) else None


def _cut_short(path: Path) -> bool:
    """Whether a file ends in the midst of a line."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"", b"\n")


def _plain(value: Any) -> Any:
    """As JSON has it: a number that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
