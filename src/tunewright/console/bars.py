"""What a run in progress shows: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tunewright.console.style import error, escaped, issue_said, measured
from tunewright.core.run import Listener


@contextmanager
def progress(*, quiet: bool) -> Iterator[Listener]:
    """A listener for a run: bars with the time left on a terminal, plain lines elsewhere, nothing if ``quiet``."""
    if quiet:
        yield lambda record: None
    elif error.is_terminal:
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TextColumn("[cyan]{task.fields[left]}[/]"),
        )
        with Progress(*columns, console=error, transient=True) as bars:
            yield _Bars(bars)
    else:
        yield _line


class _Bars:
    """One bar per stage, and a line for each event."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._stages: dict[str, TaskID] = {}
        self._begun = 0.0, 0.0

    def __call__(self, record: dict[str, Any]) -> None:
        if record["event"] != "progress":
            self._clear()
            _line(record)
            return
        stage, share = record["stage"], record["share"]
        if stage not in self._stages:
            self._clear()
            self._stages[stage] = self._bars.add_task(stage, total=1.0, detail="", left="")
            self._begun = record["seconds"], share
        left = record.get("left_seconds", self._left_seconds(record["seconds"], share))
        shown = f"{_clock(left)} left" if left is not None else ""
        self._bars.update(self._stages[stage], completed=share, detail=_detail(record), left=shown)

    def _left_seconds(self, seconds: float, share: float) -> float | None:
        """Until a stage is done that does not say so itself, at the speed since its bar is there."""
        begun, done = self._begun
        return (1 - share) * (seconds - begun) / (share - done) if share > done else None

    def _clear(self) -> None:
        for one in self._stages.values():
            self._bars.remove_task(one)
        self._stages.clear()


def _detail(record: Mapping[str, Any]) -> str:
    """Loss, metric so far and speed of a training; of other stages the share, and what is done now.

    >>> _detail({"loss": 1.25, "metric": "accuracy", "best": 0.5, "cost_per_second": 9120, "unit": "tokens"})
    'loss 1.250  accuracy 0.5000  9,120 tokens/s'
    """
    if "loss" not in record:
        return "  ".join([f"{record['share']:.0%}", *([record["now"]] if "now" in record else [])])
    pieces = [f"loss {record['loss']:.3f}"]
    if "best" in record:
        pieces.append(f"{record['metric']} {record['best']:.4f}")
    if "cost_per_second" in record:
        pieces.append(f"{record['cost_per_second']:,} {record['unit']}/s")
    return "  ".join(pieces)


def _clock(seconds: float) -> str:
    """Minutes and seconds; hours where there are some.

    >>> _clock(75), _clock(3675)
    ('1:15', '1:01:15')
    """
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _line(record: dict[str, Any]) -> None:
    event = record["event"]
    if event == "settings":
        _settings(record["settings"])
    elif event == "check":
        for issue in record["issues"]:
            error.print(f"[yellow]note[/]  {escaped(issue_said(issue))}")
    elif event == "result":
        name = f"{record['target']}.{record['metric']}" if "target" in record else record["metric"]
        error.print(f"[bold]{escaped(name)}[/] {measured(record)}")
    elif event == "tuned":
        _trials(record)
    elif "say" in record:
        error.print(f"[dim]{record['seconds']:7.1f} s[/]  {escaped(record['say'])}")


def _trials(record: Mapping[str, Any]) -> None:
    """All trials of a search, then those that no other one betters."""
    from tunewright.pipeline.tune.told import said

    by_number = {one["number"]: escaped(said(one, record["objectives"])) for one in record["trials"]}
    for number, line in by_number.items():
        error.print(f"[dim]trial {number:3d}  {line}[/]")
    for number in record["frontier"]:
        winner = "  ← released" if number == record["winner"] else ""
        error.print(f"[bold]frontier[/] trial {number:3d}  {by_number[number]}{winner}")


def _settings(settings: Mapping[str, Sequence[Any]]) -> None:
    """Every resolved setting with where it came from; those that a user gave first."""
    ranked = sorted(settings.items(), key=lambda item: item[1][1] == "default")
    for name, (value, source) in ranked:
        style = "dim" if source == "default" else "cyan"
        shown = json.dumps(value, ensure_ascii=False)
        error.print(f"[{style}]setting  {escaped(f'{name} = {shown}')}  ({source})[/]")
